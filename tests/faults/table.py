"""Writes what a run has found into docs/faults.md.

python -m tests.faults.table FAULTS.json docs/faults.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults import client_rows, process_rows, redis_rows, upstream_rows
from tests.faults.record import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN, END = "<!-- table: written by `make faults` -->\n", "<!-- end of the table -->\n"
HEAD = "| what goes wrong | when | the client sees | with another endpoint | lost | leases left | well again after |"


def expected() -> list[tuple[str, str, str]]:
    """(group, fault, phase) of every row that a whole run plays, in order."""
    return [
        *(("An endpoint", row.fault, upstream_rows.MODES[row.stream]) for row in upstream_rows.ROWS),
        *(("A client", row.fault, row.phase) for row in client_rows.ROWS),
        *(("Redis", row.fault, row.phase) for row in (*redis_rows.ROWS, *redis_rows.JUMPS)),
        *((row.group, row.fault, row.phase) for row in process_rows.ROWS),
    ]


def table(found: Sequence[Found]) -> str:
    """One row for each that was played, in the order in which they are listed."""
    order = {place: number for number, place in enumerate(expected())}
    rows = sorted(found, key=lambda row: order[row.group, row.fault, row.phase])
    lines = [HEAD, "|---" * 7 + "|"]
    lines += [
        f"| {row.group.lower()} {row.fault} | {row.phase} | {row.saw} | {row.beside} | {row.lost} | {row.leases} | "
        f"{'-' if row.recovered_s is None else seconds(row.recovered_s)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    found = [Found(**row) for row in json.loads(source.read_text(encoding="utf-8"))]
    missing = set(expected()) - {(row.group, row.fault, row.phase) for row in found}
    if missing:
        sys.exit(f"{target} stays as it is: {len(missing)} rows were not played, as {min(missing)}")
    text = target.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    target.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")
    print(f"{target}: {len(found)} rows")


if __name__ == "__main__":
    main()
