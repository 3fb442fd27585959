"""What a benchmark found, beside what is asked of it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. Without a bound it is told and not judged."""

    what: str
    value: float
    unit: str = ""
    at_most: float = inf
    at_least: float = -inf

    @property
    def reached(self) -> bool:
        return self.at_least <= self.value <= self.at_most

    @property
    def verdict(self) -> str:
        bounds = [f"<= {self.at_most:g}"] if self.at_most < inf else []
        bounds += [f">= {self.at_least:g}"] if self.at_least > -inf else []
        return f"asked {' and '.join(bounds)}: {'reached' if self.reached else 'MISSED'}" if bounds else ""


def table(figures: Sequence[Figure]) -> str:
    width = max(len(figure.what) for figure in figures)
    lines = [
        f"{figure.what:{width}}  {f'{figure.value:,.3f}'.rstrip('0').rstrip('.'):>10} {figure.unit:6} {figure.verdict}"
        for figure in figures
    ]
    return "\n".join(line.rstrip() for line in lines)


def conclude(figures: Sequence[Figure]) -> NoReturn:
    """Prints them all and ends: with 1 when one is missed."""
    print(table(figures))
    sys.exit(not all(figure.reached for figure in figures))


def share_of(values: Sequence[float], share: float) -> float:
    """The quantile, without interpolation. Raises ValueError when there are no values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p99_ms(seconds: Sequence[float]) -> float:
    return 1e3 * share_of(seconds, 0.99)


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
