"""The decision log as a pool: what was asked, which model answered, how well, at what cost, in what time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from predictors.pool_files import PoolError
from predictors.prompt import render

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Row = dict[str, Any]

SUFFIXES: Final = (".parquet", ".jsonl")
OUTCOMES: Final = {
    "score": "score",
    "cost": "cost_usd",
    "in": "input_tokens",
    "out": "output_tokens",
    "lat": "total_s",
}  # column of a pool by model: column of the log


@dataclass(slots=True)
class Exported:
    """A pool in the making, and what it lacks."""

    rows: list[Row] = field(default_factory=list)  # one for each prompt
    models: list[str] = field(default_factory=list)
    decisions: int = 0
    scored: int = 0
    without_prompt: int = 0

    @property
    def missing(self) -> list[str]:
        """What keeps the pool from being all that it could be, one sentence each."""
        said = []
        if self.without_prompt:
            said.append(
                f"{self.without_prompt} of {self.decisions} decisions have no prompt: set log.prompts to true; "
                "what has no text teaches nothing about queries"
            )
        if self.scored < self.decisions:
            said.append(
                f"{self.decisions - self.scored} of {self.decisions} decisions have no score: POST /v1/feedback"
            )
        return said


def gather(decisions: Iterable[Row]) -> Exported:
    """Answered decisions as the rows of a wide, sparse pool.

    The same prompt is one row, however often it was asked; of two answers of one model the later one with a score
    stands, or the later one.
    """
    made = Exported()
    by_prompt: dict[str, Row] = {}
    models: dict[str, None] = {}
    for each in decisions:
        if each["outcome"] != "served" or not each["model"]:
            continue
        made.decisions += 1
        made.scored += each["score"] is not None
        made.without_prompt += each["messages"] is None
        models[each["model"]] = None
        row = by_prompt.setdefault(each["prompt_hash"], _prompt(each))
        if each["score"] is not None or row.get(f"score:{each['model']}") is None:
            row |= {f"{name}:{each['model']}": each[column] for name, column in OUTCOMES.items()}
    made.rows, made.models = list(by_prompt.values()), list(models)
    return made


def write_pool(made: Exported, path: Path) -> None:
    """Writes the pool, by the suffix of the path.

    Raises:
        PoolError: another suffix, or the extra that writes Parquet is not installed.
        OSError: the file cannot be written.
    """
    names = ["query_id", "group", "text", "messages", "tools"]
    names += [f"{kind}:{model}" for model in made.models for kind in OUTCOMES]
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            for row in made.rows:
                kept = {name: row[name] for name in names if row.get(name) is not None}
                file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        return
    if path.suffix != ".parquet":
        raise PoolError(f"{path}: the suffix says what a file is: use {' or '.join(SUFFIXES)}")
    try:
        import pyarrow as pa  # noqa: PLC0415 - of the offline extra, not of serving
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    except ImportError as error:
        raise PoolError(f"{path}: Parquet needs the extra: pip install 'paretogate[offline]'") from error
    texts = {"query_id", "group", "text", "messages", "tools"}
    columns = {
        name: pa.array([row.get(name) for row in made.rows], pa.string() if name in texts else pa.float64())
        for name in names
    }
    pq.write_table(pa.table(columns), path)


def _prompt(decision: Row) -> Row:
    """The columns that say what was asked."""
    messages, tools = decision["messages"], decision["tools"]
    row = {"query_id": decision["id"], "group": decision["target"], "text": "", "messages": messages, "tools": tools}
    if messages is not None:
        row["text"] = render(json.loads(messages)).text
    return row
