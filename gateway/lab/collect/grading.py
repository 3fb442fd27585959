"""Graders: what an answer is worth, 0 or 1, from its text and what was expected. Plain values in and out.

The judge is a model, so only its question and the reading of its verdict are here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final


class Kind(StrEnum):
    """How an answer is graded."""

    EXACT = "exact"
    CHOICE = "choice"
    NUMERIC = "numeric"
    REGEX = "regex"
    JUDGE = "judge"


class GradingError(ValueError):
    """A grader that cannot grade. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Grader:
    """A kind and what it needs besides the expected answers.

    Args:
        kind: of grader.
        answers: any of them is right; of a regex the patterns, of a judge what it may read as references.
        tolerance: of a numeric answer, as a share of the expected number, and absolutely where that is below 1.
        options: of a choice, the options' texts in the order of their letters; an answer may quote one.
        rubric: of a judge, what a good answer is.
    """

    kind: Kind
    answers: tuple[str, ...] = ()
    tolerance: float = 1e-6
    options: tuple[str, ...] = ()
    rubric: str = ""

    @property
    def mark(self) -> str:
        """Tells it apart from any other."""
        return sha256(repr(self).encode(errors="replace")).hexdigest()[:12]

    def check(self) -> None:
        """Raises GradingError when it could never give a score."""
        if self.kind is Kind.JUDGE:
            return
        if not self.answers:
            raise GradingError(f"a grader of kind {self.kind} needs an answer")
        for answer in self.answers:
            _check_answer(self, answer)


def grade(grader: Grader, text: str) -> float:
    """1.0 when the text gives one of the answers, else 0.0. A judge is asked, not computed: see `verdict`.

    Raises:
        GradingError: the grader is a judge.
    """
    if grader.kind is Kind.JUDGE:
        raise GradingError("a judge is asked")
    test = {Kind.EXACT: _exact, Kind.CHOICE: _choice, Kind.NUMERIC: _numeric, Kind.REGEX: _regex}[grader.kind]
    return float(any(test(grader, answer, text) for answer in grader.answers))


def _check_answer(grader: Grader, answer: str) -> None:
    if grader.kind is Kind.NUMERIC and number(answer) is None:
        raise GradingError(f"the answer {answer[:40]!r} is no number")
    if grader.kind is Kind.CHOICE and not re.fullmatch(r"[A-Za-z]", answer.strip()):
        raise GradingError(f"the answer {answer[:40]!r} is not the letter of an option")
    if grader.kind is Kind.REGEX:
        try:
            re.compile(answer)
        except re.error as error:
            raise GradingError(f"the answer {answer[:40]!r} is no regular expression: {error}") from error


# exact ---------------------------------------------------------------------------------------------------------------

AROUND: Final = " \t\r\n.,;:!?\"'`*()[]{}"


def plain(text: str) -> str:
    """The text as it is compared: compatible forms, lower case, single blanks, no marks around it."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(AROUND)


def _exact(_: Grader, answer: str, text: str) -> bool:
    return plain(answer) == plain(text)


# choice --------------------------------------------------------------------------------------------------------------

SAID: Final = re.compile(r"\b(?i:answer|option|choice)\b[^A-Za-z0-9\n]{0,6}(?i:is\b)?[^A-Za-z0-9\n]{0,6}([A-Z])\b")
LEADING: Final = re.compile(r"^[\s*_`\"'(\[]*([A-Z])(?:[*_`\"')\].:,]|\s*$|\s*\n)")
BRACKETED: Final = re.compile(r"\(([A-Z])\)")
ALONE: Final = re.compile(r"(?m)^[\s*_`(\[]*([A-Z])[\s*_`)\].:]*$")


def chosen(text: str, options: tuple[str, ...] = ()) -> str | None:
    """The letter of the option that an answer takes, in upper case; None where it takes none.

    In order: the last "answer is X", a letter at the very start, a letter alone on a line, the last letter in brackets,
    and the only option that is quoted.
    """
    for pattern in (SAID, LEADING, ALONE, BRACKETED):
        if found := pattern.findall(text):
            return str(found[-1]).upper()
    quoted = [place for place, option in enumerate(options) if plain(option) and plain(option) in plain(text)]
    if len(quoted) == 1:
        return chr(ord("A") + quoted[0])
    bare = text.strip(AROUND)
    return bare.upper() if len(bare) == 1 and bare.isalpha() else None


def _choice(grader: Grader, answer: str, text: str) -> bool:
    return chosen(text, grader.options) == answer.strip().upper()


# numeric -------------------------------------------------------------------------------------------------------------

NUMBER: Final = re.compile(
    r"(?:(?<![\w.])[-+\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?:\s?/\s?\d+)?%?"
)
MARKED: Final = re.compile(r"(?is)(?:####|\\boxed\{|\banswer\b(?:\s+is)?\s*[:=]?)(.*)")


def number(text: str) -> float | None:
    """The number that a text ends with, after a mark of the final answer where it has one; None where it has none.

    Thousands with commas, fractions, per cent and powers of ten are read.
    """
    marked = MARKED.search(text)
    after = NUMBER.search(marked[1]) if marked else None
    if after:
        return _value(after[0])
    found = NUMBER.findall(text)
    return _value(found[-1]) if found else None


def _value(written: str) -> float | None:
    percent = written.endswith("%")
    above, _, below = written.removesuffix("%").replace(",", "").replace("\u2212", "-").partition("/")
    try:
        value = float(above) / float(below or 1)
    except ZeroDivisionError:
        return None
    return value / 100 if percent else value


def _numeric(grader: Grader, answer: str, text: str) -> bool:
    wanted, got = number(answer), number(text)
    if wanted is None or got is None:
        return False
    near = (got, got * 100, got / 100) if ("%" in text) != ("%" in answer) else (got,)
    return any(math.isclose(each, wanted, rel_tol=grader.tolerance, abs_tol=grader.tolerance) for each in near)


# regex ---------------------------------------------------------------------------------------------------------------


def _regex(_: Grader, answer: str, text: str) -> bool:
    return re.search(answer, text) is not None
