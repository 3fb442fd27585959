"""The file of prompts: what is asked, and how its answers are graded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.http.messages import CHAT
from gateway.lab.collect.grading import Grader, GradingError, Kind
from predictors.pool import PoolError, read_queries
from predictors.pool_files import read_table

if TYPE_CHECKING:
    from pathlib import Path

OWN_COLUMNS: Final = ("group", "answer", "grader")
FIELDS: Final = ("kind", "answer", "tolerance", "choices", "rubric")


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt."""

    id: str
    group: str
    text: str  # what the pool keeps and a judge is shown
    messages: Any  # OpenAI messages
    tools: Any  # OpenAI tools, or None
    grader: Grader

    @property
    def mark(self) -> str:
        """Tells it apart from any other, and from itself after a change."""
        said = json.dumps([self.id, self.messages, self.tools], sort_keys=True, ensure_ascii=False)
        return sha256(said.encode(errors="replace")).hexdigest()[:20]


def read_prompts(path: Path, *, default: Kind) -> list[Question]:
    """Reads query_id, group, text or messages, tools, answer and grader; `default` grades rows that name no grader.

    Raises:
        PoolError: the file cannot be read, or a row cannot be graded; the message names the row.
    """
    queries = read_queries(path)
    table = read_table(path, OWN_COLUMNS)
    rows = len(queries.ids)
    column = {name: table.get(name, [None] * rows) for name in OWN_COLUMNS}
    questions = []
    for row in range(rows):
        try:
            grader = _grader(column["grader"][row], column["answer"][row], default)
            grader.check()
            CHAT.decode(msgspec.json.encode(queries.messages[row]))
        except (GradingError, msgspec.DecodeError) as error:
            raise PoolError(f"{path}: row {row + 1}: {error}") from error
        questions.append(
            Question(
                id=queries.ids[row],
                group="" if column["group"][row] is None else str(column["group"][row]),
                text=queries.texts[row] or queries.prompts[row].text,
                messages=queries.messages[row],
                tools=queries.tools[row],
                grader=grader,
            )
        )
    return questions


def _grader(told: object, answer: object, default: Kind) -> Grader:
    """From a kind's name, or an object with its kind and options, as a value or as JSON."""
    if isinstance(told, str) and told.lstrip().startswith("{"):
        try:
            told = json.loads(told)
        except ValueError as error:
            raise GradingError(f"grader is not JSON: {error}") from error
    fields = {key: value for key, value in told.items() if value is not None} if isinstance(told, dict) else {}
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise GradingError(f"grader: unknown {', '.join(unknown)}; there are {', '.join(FIELDS)}")
    name = fields.get("kind") or (told if isinstance(told, str) and told else default.value)
    if name not in set(Kind):
        raise GradingError(f"no grader is named {name!r}; there are {', '.join(Kind)}")
    kind = Kind(name)
    tolerance = fields.get("tolerance", 1e-6)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        raise GradingError("grader.tolerance is a share of the answer: 0 to below 1")
    return Grader(
        kind,
        _strings("answer", fields.get("answer", answer)),
        tolerance=float(tolerance),
        options=_strings("grader.choices", fields.get("choices")),
        rubric=str(fields.get("rubric", "")),
    )


def _strings(name: str, value: object) -> tuple[str, ...]:
    """One answer or several; numbers as they are written. A whole float came so out of a Parquet column."""
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise GradingError(f"{name} is a text, a number, or a list of them")
    return tuple(str(int(each)) if isinstance(each, float) and each.is_integer() else str(each) for each in values)
