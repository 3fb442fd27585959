"""Outcome data: what each model made of each query. One reader for every format and suffix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.prompt import render

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from predictors.base import Prompt

Column = list[Any]
Table = Mapping[str, Column]


class PoolError(ValueError):
    """A file that is no pool. The message names the file, the column or the line, and the mend."""


@dataclass(frozen=True, slots=True)
class Queries:
    """What a predictor may see of a file: nothing of its outcomes. Q rows, in file order."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    messages: tuple[Any, ...]  # OpenAI messages as sent
    tools: tuple[Any, ...]  # OpenAI tools, or None
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """Queries and the outcomes of M models. Every array is (Q, M) float64, NaN where not known."""

    queries: Queries
    groups: tuple[str, ...]  # "" where the file names none; a label for training, never for prediction
    models: tuple[str, ...]
    score: NDArray[np.float64]  # 0..1
    cost: NDArray[np.float64]  # USD
    input_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    latency: NDArray[np.float64]  # seconds


def read_queries(path: Path) -> Queries:
    """Reads query_id, text, messages and tools, and no other column.

    Raises:
        PoolError: the file is missing, not readable, or names neither text nor messages.
    """
    table = _read(path, ("query_id", "text", "messages", "tools"))
    return _queries(path, table)


def read_pool(path: Path) -> Pool:
    """Reads a wide pool. Unknown columns are ignored.

    Raises:
        PoolError: as `read_queries`, or there is no `score:<model>` column, or a score is outside 0..1.
    """
    table = _read(path, None)
    models = tuple(name.removeprefix("score:") for name in table if name.startswith("score:"))
    if not models:
        raise PoolError(f"{path}: no column named score:<model>; a pool has one for every model")
    queries = _queries(path, table)
    score = _matrix(path, table, "score", models)
    if np.any((score < 0) | (score > 1)):
        row, column = np.argwhere((score < 0) | (score > 1))[0]
        raise PoolError(f"{path}: score:{models[column]} in row {row + 1} is {score[row, column]:g}; scores are 0 to 1")
    groups = tuple("" if value is None else str(value) for value in table.get("group", [None] * len(queries.ids)))
    kinds = {kind: _matrix(path, table, kind, models) for kind in ("cost", "in", "out", "lat")}
    return Pool(queries, groups, models, score, kinds["cost"], kinds["in"], kinds["out"], kinds["lat"])


def _read(path: Path, names: tuple[str, ...] | None) -> Table:
    if not path.is_file():
        raise PoolError(f"{path}: no such file")
    if path.suffix == ".parquet":
        return _read_parquet(path, names)
    if path.suffix == ".jsonl":
        return _read_jsonl(path, names)
    raise PoolError(f"{path}: the suffix says what a file is: use .parquet or .jsonl")


def _read_parquet(path: Path, names: tuple[str, ...] | None) -> Table:
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - of the offline extra, not of serving
    except ImportError as error:
        raise PoolError(f"{path}: Parquet needs the extra: pip install 'paretogate[offline]'") from error
    try:
        present = set(pq.read_schema(path).names)
        columns = None if names is None else [name for name in names if name in present]
        table: dict[str, Column] = pq.read_table(path, columns=columns).to_pydict()
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: not a readable Parquet file: {error}") from error
    return table


def _read_jsonl(path: Path, names: tuple[str, ...] | None) -> Table:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise PoolError(f"{path}: line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise PoolError(f"{path}: line {number} is not an object")
        rows.append(row)
    present = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in present if names is None or name in names}


def _queries(path: Path, table: Table) -> Queries:
    if "text" not in table and "messages" not in table:
        raise PoolError(f"{path}: no column text (or messages): there is nothing to send")
    rows = len(table["text"] if "text" in table else table["messages"])
    texts = tuple("" if value is None else str(value) for value in table.get("text", [None] * rows))
    ids = tuple(str(value) for value in table.get("query_id", range(rows)))
    messages = tuple(
        _json(path, "messages", value) or [{"role": "user", "content": text}]
        for value, text in zip(table.get("messages", [None] * rows), texts, strict=True)
    )
    tools = tuple(_json(path, "tools", value) for value in table.get("tools", [None] * rows))
    prompts = tuple(render(each, tool) for each, tool in zip(messages, tools, strict=True))
    return Queries(ids, texts, messages, tools, prompts)


def _json(path: Path, name: str, value: object) -> object:
    if not isinstance(value, str):
        return value or None
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as error:
        raise PoolError(f"{path}: {name} is not JSON: {error}") from error


def _matrix(path: Path, table: Table, kind: str, models: tuple[str, ...]) -> NDArray[np.float64]:
    rows = len(next(iter(table.values())))
    matrix = np.full((rows, len(models)), np.nan)
    for column, model in enumerate(models):
        values = table.get(f"{kind}:{model}")
        if values is None:
            continue
        try:
            matrix[:, column] = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise PoolError(f"{path}: {kind}:{model} holds something that is no number: {error}") from error
    return matrix
