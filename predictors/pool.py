"""Outcome data: what each model made of each query. One reader for every format and suffix."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.pool_files import PoolError, read_table
from predictors.pool_formats import TEXT_COLUMNS, wide
from predictors.prompt import render

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from predictors.base import Prompt
    from predictors.pool_files import Table

__all__ = ["Pool", "PoolError", "Queries", "read_pool", "read_queries"]

AMOUNTS = ("cost", "in", "out", "lat")


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
    return _queries(path, _table(path, TEXT_COLUMNS))


def read_pool(path: Path) -> Pool:
    """Reads a wide pool, the records of QAServe or RouterBench's table. Unknown columns are ignored.

    Raises:
        PoolError: as `read_queries`, or no model has scores, or a score is outside 0..1, or an amount is negative.
    """
    table = _table(path, None)
    models = tuple(name.removeprefix("score:") for name in table if name.startswith("score:"))
    if not models:
        raise PoolError(f"{path}: no column named score:<model>; a pool has one for every model")
    queries = _queries(path, table)
    score = _matrix(path, table, "score", models, most=1.0)
    groups = tuple("" if value is None else str(value) for value in table.get("group", [None] * len(queries.ids)))
    cost, into, out, latency = (_matrix(path, table, kind, models, most=np.inf) for kind in AMOUNTS)
    return Pool(queries, groups, models, score, cost, into, out, latency)


def _table(path: Path, names: tuple[str, ...] | None) -> Table:
    return wide(path, read_table(path, names))


def _queries(path: Path, table: Table) -> Queries:
    if "text" not in table and "messages" not in table:
        raise PoolError(f"{path}: no column text (or messages): there is nothing to send")
    rows = len(table["text"] if "text" in table else table["messages"])
    nothing = [None] * rows
    texts = tuple("" if value is None else str(value) for value in table.get("text", nothing))
    ids = tuple(str(row if value is None else value) for row, value in enumerate(table.get("query_id", nothing)))
    messages = tuple(
        _json(path, "messages", value) or [{"role": "user", "content": text}]
        for value, text in zip(table.get("messages", nothing), texts, strict=True)
    )
    tools = tuple(_json(path, "tools", value) for value in table.get("tools", nothing))
    prompts = tuple(render(each, tool) for each, tool in zip(messages, tools, strict=True))
    return Queries(ids, texts, messages, tools, prompts)


def _json(path: Path, name: str, value: object) -> object:
    if not isinstance(value, str):
        return value or None
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as error:
        raise PoolError(f"{path}: {name} is not JSON: {error}") from error


def _matrix(path: Path, table: Table, kind: str, models: tuple[str, ...], *, most: float) -> NDArray[np.float64]:
    """(Q, M) of the columns `kind:<model>`; NaN where a cell or a column is missing."""
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
    if np.any(wrong := (matrix < 0) | (matrix > most) | np.isinf(matrix)):
        row, column = np.argwhere(wrong)[0]
        allowed = "0 to 1" if most == 1 else "0 or more"
        raise PoolError(
            f"{path}: {kind}:{models[column]} in row {row + 1} is {matrix[row, column]:g}; it must be {allowed}"
        )
    return matrix
