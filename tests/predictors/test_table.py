"""Tables by suffix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from predictors.table import TableError, check_suffix, write_table

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS: dict[str, list[object]] = {
    "query_id": ["a", "é/b"],
    "quality": [np.float32(0.5), float("nan")],
    "count": [1, None],
}
ROWS = [{"query_id": "a", "quality": 0.5, "count": 1}, {"query_id": "é/b", "quality": None, "count": None}]


def test_both_formats_hold_the_same_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "t.jsonl", COLUMNS)
    write_table(tmp_path / "t.parquet", COLUMNS)
    lines = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == ROWS


def test_no_rows_is_a_table_too(tmp_path: Path) -> None:
    write_table(tmp_path / "t.jsonl", {"a": []})
    assert not (tmp_path / "t.jsonl").read_text(encoding="utf-8")


def test_a_suffix_or_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="parquet or"):
        check_suffix(tmp_path / "t.csv")
    for suffix in ("jsonl", "parquet"):
        with pytest.raises(TableError, match="cannot be written"):
            write_table(tmp_path / "no" / f"t.{suffix}", COLUMNS)
