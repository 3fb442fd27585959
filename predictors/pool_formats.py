"""Outcome data of other projects as our wide table: the records of ECCOS's QAServe, and RouterBench's table.

QAServe has one record per query: {"query", "input_token_length", "outputs": [{"model_name", "prediction",
"correctness", "output_token_length"}]}. RouterBench has `sample_id`, `prompt`, `eval_name`, and for every model a
column of its name with the score, `<model>|model_response` and `<model>|total_cost`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from predictors.pool_files import PoolError

if TYPE_CHECKING:
    from pathlib import Path

    from predictors.pool_files import Column, Table

COST = "|total_cost"
TEXT_COLUMNS = ("query_id", "text", "messages", "tools", "query", "sample_id", "prompt")  # all that names a query


def wide(path: Path, table: Table) -> Table:
    """The table in our own columns; what already has them is returned as it is.

    Raises:
        PoolError: an `outputs` of QAServe is not a list of objects with model names.
    """
    if "text" in table or "messages" in table:
        return table
    if "query" in table:
        return _from_qaserve(path, table)
    if "prompt" in table:
        return _from_routerbench(table)
    return table


def _from_qaserve(path: Path, table: Table) -> Table:
    rows = len(table["query"])
    columns: dict[str, Column] = {"text": table["query"]}
    if "query_id" in table:
        columns["query_id"] = table["query_id"]
    for row, outputs in enumerate(table.get("outputs", [None] * rows)):
        for output in _outputs(path, row, outputs):
            name = output["model_name"]
            cells = {"score": output.get("correctness"), "out": output.get("output_token_length")}
            for kind, value in cells.items():
                columns.setdefault(f"{kind}:{name}", [None] * rows)[row] = value
            if "input_token_length" in table:
                columns.setdefault(f"in:{name}", [None] * rows)[row] = table["input_token_length"][row]
    return columns


def _outputs(path: Path, row: int, outputs: object) -> list[dict[str, Any]]:
    if outputs is None:
        return []
    if not isinstance(outputs, list) or not all(isinstance(each, dict) and each.get("model_name") for each in outputs):
        raise PoolError(f"{path}: record {row + 1}: outputs is no list of objects with a model_name")
    return outputs


def _from_routerbench(table: Table) -> Table:
    columns: dict[str, Column] = {"text": [_prompt(value) for value in table["prompt"]]}
    for theirs, ours in (("sample_id", "query_id"), ("eval_name", "group")):
        if theirs in table:
            columns[ours] = table[theirs]
    for name in table:
        model = name.removesuffix(COST)
        if model != name and model in table:
            columns[f"score:{model}"] = table[model]
            columns[f"cost:{model}"] = table[name]
    return columns


def _prompt(value: object) -> str | None:
    """RouterBench writes a prompt as the text of a Python list of its turns."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return str(value)
    if isinstance(value, list):
        return "\n".join(str(turn) for turn in value)
    return None if value is None else str(value)
