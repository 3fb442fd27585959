"""How sure a figure is: the same queries drawn again with replacement, alike for every method that is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import frontier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.frontier import Curve, Floats, Ints, Realised

DRAWS = 1_000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its bootstrap 95 % interval."""

    value: float
    low: float
    high: float
    error: float  # standard deviation over the draws


@dataclass(frozen=True, slots=True)
class Redrawn:
    """A sweep of L points under B draws."""

    cost: Floats  # (B, L)
    success: Floats  # (B, L)
    cheapest: Floats  # (B, 2): cost and success of the cheapest single model
    best: Floats  # (B, 2): of the best

    def hulls(self) -> Sequence[Curve]:
        """The B hulls, the cheapest single model added."""
        return [
            frontier.envelope(cost, success, (low[0], low[1]))
            for cost, success, low in zip(self.cost, self.success, self.cheapest, strict=True)
        ]

    def summaries(self, hulls: Sequence[Curve]) -> Sequence[frontier.Summary]:
        """The figures of each draw, from its hull."""
        return [
            frontier.figures(curve, float(success.max()), low[0], (high[0], high[1]))
            for curve, success, low, high in zip(hulls, self.success, self.cheapest, self.best, strict=True)
        ]


def draws(queries: int, count: int = DRAWS, seed: int = 0) -> Floats:
    """(B, N) weight of each query in each draw; rows sum to 1."""
    even = np.full(queries, 1 / queries)
    return np.random.default_rng(seed).multinomial(queries, even, size=count) / queries


def redraw(cost: Floats, score: Floats, realised: Realised, weight: Floats) -> Redrawn:
    """Every point of a sweep, given as the cost and score of each query (L, N), under every draw (B, N)."""
    low, high = (_static(realised, each, weight) for each in (realised.cheapest, realised.best))
    return Redrawn(weight @ cost.T, weight @ score.T, low, high)


def interval(value: float, drawn: Floats) -> Interval:
    """A value with the spread of its draws (B,)."""
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return Interval(value, float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(known, INTERVAL)
    return Interval(value, float(low), float(high), float(known.std()))


def _static(realised: Realised, choice: Ints, weight: Floats) -> Floats:
    cost, score = realised.picked(choice)
    answered = weight * np.isfinite(score)
    total = answered.sum(axis=1)
    return np.column_stack([answered @ np.nan_to_num(cost) / total, answered @ np.nan_to_num(score) / total])
