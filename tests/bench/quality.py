"""Every row of the Numbers table on prediction, printed and stored.

    python -m tests.bench.quality --pools ../shared/data/pools --cache ~/.cache/paretogate-quality
    python -m tests.bench.quality --quick --only mmlu_pro14 --rows frontier,calibration

It needs the real pools. Fits take minutes each; they are kept in the cache and made again when `predictors/` changes.
`--quick` takes one cross-fit per pool instead of a training per fold: a guide while working, not the result.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import TYPE_CHECKING

from gateway.lab.bootstrap import DRAWS
from tests.bench.quality_estimates import GROUP, QUERY, estimates
from tests.bench.quality_rows import (
    Held,
    Row,
    away_rows,
    calibration_rows,
    frontier_rows,
    frozen_rows,
    promise_rows,
)
from tests.bench.quality_speed import speed_rows
from tests.bench.quality_two_models import two_model_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDE = ("reason19", "rb11", "llmr14", "mmlu_pro14")  # the smallest first
FOLD_ROWS = {
    "frontier": frontier_rows,
    "calibration": calibration_rows,
    "frozen": frozen_rows,
    "promise": promise_rows,
}
ROWS = (*FOLD_ROWS, "away", "two-models", "speed")


def main() -> None:
    """Prints a line per row as soon as it is known; ends with 1 where a target is missed."""
    asked = _arguments()
    rows: list[Row] = []
    for name in asked.rows:
        found = _rows(name, asked)
        rows += found
        if not asked.json:
            print("\n".join(_line(row) for row in found), flush=True)
    report = {
        "commit": _commit(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "command": f"python -m tests.bench.quality {' '.join(sys.argv[1:])}",
        "quick": asked.quick,
        "seed": asked.seed,
        "rows": [_finite(row) for row in rows],
    }
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")
    if asked.json:
        print(text, end="")
    missed = [row for row in rows if row.passed is False]
    if missed:
        raise SystemExit(1)


def _rows(name: str, asked: argparse.Namespace) -> list[Row]:
    if name == "two-models":
        return two_model_rows(asked.pools / "routellm2.parquet", seed=asked.seed, tell=_tell)
    if name == "speed":
        return speed_rows(asked.pools / "reason19.parquet", tell=_tell)
    if name == "away":
        return away_rows(_held(asked, GROUP))
    return FOLD_ROWS[name](_held(asked, QUERY))


def _held(asked: argparse.Namespace, left_out: str) -> Sequence[Held]:
    found = []
    for name in asked.only:
        pool, given = estimates(
            asked.pools / f"{name}.parquet", left_out, seed=asked.seed, quick=asked.quick, cache=asked.cache, tell=_tell
        )
        found.append(Held.of(name, pool, given, asked.draws, asked.seed))
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", type=Path, default=Path("../shared/data/pools"), help="folder of the real pools")
    parser.add_argument("--only", type=_names(WIDE), default=WIDE, help="comma-separated wide pools")
    parser.add_argument("--rows", type=_names(ROWS), default=ROWS, help=f"comma-separated: {', '.join(ROWS)}")
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "paretogate-quality")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the results")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


class _names:  # noqa: N801 - argparse shows the type's name in its messages
    """Reads a comma-separated choice."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in self._known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(self._known)}")
        return names


def _line(row: Row) -> str:
    between = f"[{row.low:+.4f}, {row.high:+.4f}]" if isfinite(row.low) else ""
    verdict = {None: "", True: "pass", False: "FAIL"}[row.passed]
    return f"{row.pool or 'all':11} {row.what:34} {row.value:+9.4f} {between:20} {row.target:36} {verdict}"


def _finite(row: Row) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value for name, value in asdict(row).items()
    }


def _tell(words: str, *, began: float = perf_counter()) -> None:
    print(f"{perf_counter() - began:6.0f} s  {words}", file=sys.stderr, flush=True)


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
