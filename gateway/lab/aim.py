"""Prices of quality that are set before a query is seen, from the predictor's own held-out sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gateway.core.curve import filled_scores, trace
from gateway.lab.frontier import choose, hull

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.curve import Sample
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Realised

Mix: TypeAlias = "tuple[tuple[float, float], ...]"  # multipliers, and the share of the queries that lots give to each


def single(sample: Sample, kept: float) -> Mix:
    """The least multiplier that realises `kept` of the best single model's success on a sample, or the last one."""
    curve = trace(sample)
    place = int(np.searchsorted(curve.realised, kept * _best(sample)))
    return ((float(curve.multiplier[min(place, curve.last)]), 1.0),)


def mixed(sample: Sample, kept: float) -> Mix:
    """The two multipliers whose mixture realises `kept` of the best single model's success at the least cost.

    They are neighbours on the concave hull of the sample's curve, which costs no more anywhere than the curve, and
    rests on fewer of its points: a bump of chance moves one multiplier far, and a mixture little.
    """
    curve, wanted = trace(sample), kept * _best(sample)
    corners = hull(curve.cost_usd, curve.realised)
    knots = np.searchsorted(curve.cost_usd, corners.cost, side="right") - 1
    above = min(int(np.searchsorted(corners.success, wanted)), len(knots) - 1)
    high = float(curve.multiplier[knots[above]])
    if above == 0 or corners.success[above] <= wanted:
        return ((high, 1.0),)
    low = float(curve.multiplier[knots[above - 1]])
    share = float(np.interp(wanted, corners.success[above - 1 : above + 1], [0.0, 1.0]))
    return ((low, 1 - share), (high, share))


def hold(given: Estimates, mix: Mapping[int, Mix], realised: Realised) -> tuple[Floats, Floats]:
    """(cost, score) of each query (N,) with each part's multipliers held for all its queries, over all lots."""
    paid, score = np.zeros(len(given.part)), np.zeros(len(given.part))
    allowed = np.isfinite(realised.score)
    for part, multipliers in mix.items():
        rows = np.flatnonzero(given.part == part)
        for multiplier, share in multipliers:
            choice = choose(given.quality[rows], given.cost[rows], multiplier, allowed[rows])
            paid[rows] += share * realised.cost[rows, choice]
            score[rows] += share * realised.score[rows, choice]
    return paid, score


def _best(sample: Sample) -> float:
    return float(np.average(filled_scores(sample), axis=0, weights=sample.weight).max())
