"""Writes columns as a table; the suffix says how."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SUFFIXES = (".parquet", ".jsonl")


class TableError(ValueError):
    """A table that cannot be written. The message says where and why."""


def write_table(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Writes columns of equal length. A float that is NaN becomes null.

    Raises:
        TableError: the suffix is not one of SUFFIXES, a package is missing, or the file cannot be written.
    """
    check_suffix(path)
    plain = {name: [_plain(value) for value in values] for name, values in columns.items()}
    try:
        if path.suffix == ".parquet":
            _write_parquet(path, plain)
        else:
            names = list(plain)
            rows = zip(*plain.values(), strict=True)
            lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows)
            path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", errors="replace")
    except OSError as error:
        raise TableError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_suffix(path: Path) -> None:
    """Refuses a path whose suffix names no format, before any work is done for it."""
    if path.suffix not in SUFFIXES:
        raise TableError(f"{path}: the suffix says what to write: use {' or '.join(SUFFIXES)}")


def _write_parquet(path: Path, columns: Mapping[str, list[object]]) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - of the offline extra, not of serving
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    except ImportError as error:
        raise TableError(f"{path}: Parquet needs the extra: pip install 'paretogate[offline]'") from error
    pq.write_table(pa.table(dict(columns)), path)


def _plain(value: object) -> object:
    """A NumPy number as Python's own; NaN as null."""
    item = getattr(value, "item", None)
    value = item() if callable(item) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
