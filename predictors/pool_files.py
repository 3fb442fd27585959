"""Files as tables of plain columns: Parquet and JSON lines, told apart by their suffix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Column = list[Any]
Table = Mapping[str, Column]


class PoolError(ValueError):
    """A file that is no pool. The message names the file, the column or the line, and the mend."""


def read_table(path: Path, names: Collection[str] | None) -> Table:
    """Every column by its name, or only those named; columns of equal length, in file order.

    Raises:
        PoolError: the file is missing, of another suffix, or not what its suffix says.
    """
    if not path.is_file():
        raise PoolError(f"{path}: no such file")
    if path.suffix == ".parquet":
        return _read_parquet(path, names)
    if path.suffix == ".jsonl":
        return _read_jsonl(path, names)
    raise PoolError(f"{path}: the suffix says what a file is: use .parquet or .jsonl")


def _read_parquet(path: Path, names: Collection[str] | None) -> Table:
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - of the offline extra, not of serving
    except ImportError as error:
        raise PoolError(f"{path}: Parquet needs the extra: pip install 'paretogate[offline]'") from error
    try:
        present = pq.read_schema(path).names
        columns = [name for name in present if names is None or name in names]
        table: dict[str, Column] = pq.read_table(path, columns=columns).to_pydict()
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: not a readable Parquet file: {error}") from error
    return table


def _read_jsonl(path: Path, names: Collection[str] | None) -> Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PoolError(f"{path}: cannot be read as UTF-8: {error}") from error
    # Not splitlines(): JSON may hold line separators of Unicode inside its strings.
    rows = [_row(path, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    present = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in present if names is None or name in names}


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PoolError(f"{path}: line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise PoolError(f"{path}: line {number} is not an object")
    return row
