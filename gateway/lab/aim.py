"""A promise kept blind: the multiplier comes from the predictor's own held-out sample, before any query is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import trace
from gateway.lab.frontier import choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.curve import Curve, Sample
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Ints, Realised


def curves(samples: Mapping[int, Sample]) -> Mapping[int, Curve]:
    """The curve of each fit's sample."""
    return {part: trace(sample) for part, sample in samples.items()}


def aimed(asked: Mapping[int, float], curve: Mapping[int, Curve], given: Estimates, realised: Realised) -> Floats:
    """(N, M) share of each query that goes to each model when every part asks its average quality.

    Between two knots of its curve a part's traffic is mixed, so a share is 0, 1 or one of a part's two weights.
    """
    share = np.zeros(realised.score.shape)
    allowed = np.isfinite(realised.score)
    for part, wanted in asked.items():
        rows = np.flatnonzero(given.part == part)
        for multiplier, weight in _mix(curve[part], wanted):
            chosen = choose(given.quality[rows], given.cost[rows], multiplier, allowed[rows])
            share[rows, chosen] += weight
    return share


def _mix(curve: Curve, wanted: float) -> list[tuple[float, float]]:
    """(multiplier, weight) of the knots on either side of the asked quality; one knot beyond the curve's ends."""
    reached = curve.realised[: curve.last + 1]
    above = int(np.searchsorted(reached, wanted))
    if above == 0:
        return [(float(curve.multiplier[0]), 1.0)]
    if above > curve.last:
        return [(float(curve.multiplier[curve.last]), 1.0)]
    low, high = reached[above - 1], reached[above]
    weight = float((wanted - low) / (high - low))
    return [(float(curve.multiplier[above - 1]), 1 - weight), (float(curve.multiplier[above]), weight)]


def frozen(curve: Curve, wanted: float) -> float:
    """The least multiplier whose realised quality on the sample reaches `wanted`; the last useful one if none does."""
    return float(curve.multiplier[min(int(np.searchsorted(curve.realised, wanted)), curve.last)])


def settle(share: Floats, realised: Realised) -> tuple[Floats, Floats]:
    """(cost, score) of each query (N,) under shares (N, M)."""
    return (share * np.nan_to_num(realised.cost)).sum(axis=1), (share * np.nan_to_num(realised.score)).sum(axis=1)


def steps_between(low: float, high: float, count: int = 5) -> Floats:
    """Asked qualities strictly between the cheapest and the best."""
    return np.linspace(low, high, count + 2)[1:-1]


def hold(given: Estimates, multiplier: Mapping[int, float], realised: Realised) -> Ints:
    """(N,) choices with each part's multiplier held for all its queries."""
    choice = np.zeros(len(given.part), dtype=np.int64)
    allowed = np.isfinite(realised.score)
    for part, price in multiplier.items():
        rows = np.flatnonzero(given.part == part)
        choice[rows] = choose(given.quality[rows], given.cost[rows], price, allowed[rows])
    return choice
