"""The published table has every row that is played, and no other."""

from __future__ import annotations

from pathlib import Path

from tests.faults.table import BEGIN, END, expected

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"


def test_the_published_table_has_every_row_and_no_other() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    published = [tuple(cell.strip() for cell in row.strip("|").split("|"))[:2] for row in rows]
    assert published == [(f"{group.lower()} {fault}", phase) for group, fault, phase in expected()]
    assert len(published) >= 40


def test_every_row_left_no_lease() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    assert {row.strip("|").split("|")[5].strip() for row in rows} == {"0"}
