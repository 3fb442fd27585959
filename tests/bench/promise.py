"""How promises are kept on real pools: python -m tests.bench.promise --pools DIR [--cache DIR] [--json FILE] ...

A predictor is fitted on a random half of each pool and run on the other half, shuffled; the halves are drawn with seeds
0, 1, ... and averaged, and each is shuffled by 100 and its seed. Qualities asked lie 10, 30, 50, 70 and 90 % of the way
from the cheapest model's mean success to the best one's, as the fitted half knows them: one column each.

Nearly all time goes into the fits. A cache keeps them: delete it when the predictor changes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.halves import halves
from tests.bench.promise_runs import Row, budgets, drift, keeping, rivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.promise_runs import Drawn

POOLS = ("rb11", "reason19", "llmr14", "mmlu_pro14")
PARTS: dict[str, Callable[[str, Sequence[Drawn]], Iterator[Row]]] = {
    "keeping": keeping,
    "drift": drift,
    "budgets": budgets,
    "rivals": rivals,
}


def line(row: Row) -> str:
    values = "".join(f"{value:9.2f}" for value in row.values)
    verdict = "" if row.reached is None else f"  {row.target}: {'reached' if row.reached else 'MISSED'}"
    return f"{row.pool:11} {row.what:66} {row.unit:6} {values}{verdict}"


def summary(rows: Sequence[Row]) -> Iterator[str]:
    asked = [row for row in rows if row.reached is not None]
    yield f"{sum(bool(row.reached) for row in asked)} of {len(asked)} rows with a target reach it"
    cells = [(row, value) for row in asked if row.target.startswith("<=") for value in row.values]
    reached = sum(value <= float(row.target.removeprefix("<=")) for row, value in cells)
    yield f"{reached} of {len(cells)} figures under a limit are within it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=Path, required=True, help="the folder of the parquet pools")
    parser.add_argument("--cache", type=Path, help="a folder that keeps fits between runs")
    parser.add_argument("--json", type=Path, help="where the rows are written too")
    parser.add_argument("--halves", type=int, default=5)
    parser.add_argument("--pool", choices=POOLS, action="append")
    parser.add_argument("--part", choices=PARTS, action="append")
    given = parser.parse_args()
    if given.cache:
        given.cache.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in given.pool or POOLS:
        drawn = [halves(given.pools, name, seed, given.cache) for seed in range(given.halves)]
        for part in given.part or PARTS:
            for row in PARTS[part](name, drawn):
                print(line(row), flush=True)
                rows.append(row)
    for told in summary(rows):
        print(told)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
