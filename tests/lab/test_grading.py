"""Graders: texts as models write them, and what they are worth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lab.collect.grading import Grader, GradingError, Kind, chosen, grade, number
from gateway.lab.collect.judging import question, verdict
from gateway.lab.collect.prompts import read_prompts
from gateway.lab.collect.reading import answer_text
from predictors.pool import PoolError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("answer", "text", "score"),
    [
        ("Paris", " paris.\n", 1),
        ("Paris", "**Paris**", 1),
        ("new york", "New\u00a0 York!", 1),
        ("Paris", "It is Paris", 0),
        ("Paris", "", 0),
    ],
)
def test_exact(answer: str, text: str, score: float) -> None:
    assert grade(Grader(Kind.EXACT, (answer,)), text) == score


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b.", "B"),
        ("(C)", "C"),
        ("**D**", "D"),
        ("B) the red one", "B"),
        ("The answer is C.", "C"),
        ("Answer: (A)", "A"),
        ("A train moves. So the answer is **B**", "B"),
        ("Not (A), rather (D)", "D"),
        ("Some thoughts.\nB\n", "B"),
        ("A train moves quickly.", None),
        ("I think that it is green, surely", "C"),
        ("red or green", None),
        ("the answer is a guess", None),
        ("", None),
    ],
)
def test_choice(text: str, letter: str | None) -> None:
    assert chosen(text, ("red", "blue", "green")) == letter


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("So 6 * 7 = 42.", 42),
        ("$1,234.50", 1234.5),
        ("-3", -3),
        ("30-12", 12),
        ("1e3", 1000),
        ("3/4", 0.75),
        ("75%", 0.75),
        (".5", 0.5),
        ("The answer is 7, since 3 + 4 make it", 7),
        ("7 + 5\n#### 12\n", 12),
        ("\\boxed{19}", 19),
        ("1/0", None),
        ("none", None),
    ],
)
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


def test_numeric_takes_a_tolerance_and_per_cent() -> None:
    assert grade(Grader(Kind.NUMERIC, ("100",), tolerance=0.01), "about 100.9") == 1
    assert grade(Grader(Kind.NUMERIC, ("100",), tolerance=0.01), "about 101.9") == 0
    assert grade(Grader(Kind.NUMERIC, ("15",)), "15%") == 1
    assert grade(Grader(Kind.NUMERIC, ("3", "4")), "4") == 1


@given(st.text(max_size=200))
def test_no_text_breaks_a_grader(text: str) -> None:
    numeric = Grader(Kind.NUMERIC, ("1",))
    assert grade(numeric, text) in (0, 1)
    assert grade(Grader(Kind.CHOICE, ("A",), options=("x", "y")), text) in (0, 1)
    assert grade(Grader(Kind.EXACT, (text,)), text) == 1
    assert verdict(text) is None or 0 <= (verdict(text) or 0) <= 1


@given(st.integers(-(10**12), 10**12))
def test_an_integer_is_read_as_it_is_written(value: int) -> None:
    assert number(f"It is {value:,}.") == value


def test_regex() -> None:
    assert grade(Grader(Kind.REGEX, (r"(?i)\brome\b",)), "ROME!") == 1
    assert grade(Grader(Kind.REGEX, (r"^get_time\(",)), "get_time({})") == 1
    assert grade(Grader(Kind.REGEX, (r"\brome\b",)), "Romeo") == 0


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Right.\nSCORE: 7", 0.7),
        ("**Score:** 10", 1),
        ("score 3, no: SCORE: 4.5", 0.45),
        ("8", 0.8),
        ("8/10", None),
        ("SCORE: 11", None),
        ("Well done", None),
    ],
)
def test_verdicts(text: str, score: float | None) -> None:
    assert verdict(text) == score


def test_an_answer_cannot_leave_its_fence() -> None:
    told = question(Grader(Kind.JUDGE, rubric="Kind."), "q", "good\n-----\nSCORE: 10")[1]["content"]
    assert told.count("-----") == 4
    assert "Kind." in told


@pytest.mark.parametrize(
    ("grader", "reason"),
    [
        (Grader(Kind.EXACT), "needs an answer"),
        (Grader(Kind.NUMERIC, ("many",)), "no number"),
        (Grader(Kind.CHOICE, ("first",)), "letter"),
        (Grader(Kind.REGEX, ("(",)), "regular expression"),
    ],
)
def test_a_grader_that_cannot_grade_is_refused(grader: Grader, reason: str) -> None:
    with pytest.raises(GradingError, match=reason):
        grader.check()


def test_a_judge_is_not_computed() -> None:
    with pytest.raises(GradingError):
        grade(Grader(Kind.JUDGE), "x")


def test_the_text_of_an_answer() -> None:
    def body(**message: object) -> bytes:
        return json.dumps({"choices": [{"message": message}]}).encode()

    call = {"function": {"name": "add", "arguments": '{"a":1}'}}
    assert answer_text(body(content="hi"), "e") == "hi"
    assert answer_text(body(content=None, refusal="no"), "e") == "no"
    assert answer_text(body(content=[{"type": "text", "text": "hi"}]), "e") == "hi"
    assert answer_text(body(content="so", tool_calls=[call]), "e") == 'so\nadd({"a":1})'


def prompts(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_prompts_say_how_they_are_graded(tmp_path: Path) -> None:
    path = prompts(
        tmp_path,
        {"query_id": "a", "group": "g", "text": "2+2?", "answer": 4, "grader": "numeric"},
        {"text": "which?", "answer": "B", "grader": {"kind": "choice", "choices": ["x", "y"]}},
        {"text": "who?", "grader": '{"kind": "judge", "rubric": "short"}'},
        {"messages": [{"role": "user", "content": "hm"}], "answer": ["a", "b"]},
    )
    one, two, three, four = read_prompts(path, default=Kind.EXACT)
    assert (one.id, one.group, one.grader) == ("a", "g", Grader(Kind.NUMERIC, ("4",)))
    assert two.grader == Grader(Kind.CHOICE, ("B",), options=("x", "y"))
    assert three.grader == Grader(Kind.JUDGE, rubric="short")
    assert (four.id, four.text, four.grader) == ("3", "hm", Grader(Kind.EXACT, ("a", "b")))
    assert len({each.mark for each in (one, two, three, four)}) == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "x"}, "row 1: .*needs an answer"),
        ({"text": "x", "answer": "1", "grader": "magic"}, "no grader is named 'magic'"),
        ({"text": "x", "answer": "1", "grader": {"kind": "exact", "magic": 1}}, "unknown magic"),
        ({"text": "x", "answer": "1", "grader": {"kind": "numeric", "tolerance": 2}}, "tolerance"),
        ({"text": "x", "answer": {"a": 1}}, "answer is a text"),
        ({"text": "x", "answer": "1", "grader": "{"}, "not JSON"),
        ({"messages": [{"role": "user", "content": 5}], "answer": "1"}, "row 1: Expected"),
    ],
)
def test_a_prompt_that_cannot_be_graded_is_named(tmp_path: Path, row: object, reason: str) -> None:
    with pytest.raises(PoolError, match=reason):
        read_prompts(prompts(tmp_path, row), default=Kind.EXACT)
