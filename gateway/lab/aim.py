"""Prices of quality that are set before a query is seen, from the predictor's own held-out sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import filled_scores, trace
from gateway.lab.frontier import choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.curve import Sample
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Ints, Realised


def frozen(sample: Sample, kept: float) -> float:
    """The least multiplier that realises `kept` of the best single model's success on a sample, or the last one."""
    best = float(np.average(filled_scores(sample), axis=0, weights=sample.weight).max())
    curve = trace(sample)
    return float(curve.multiplier[min(int(np.searchsorted(curve.realised, kept * best)), curve.last)])


def hold(given: Estimates, multiplier: Mapping[int, float], realised: Realised) -> Ints:
    """(N,) choices with each part's multiplier held for all its queries."""
    choice = np.zeros(len(given.part), dtype=np.int64)
    allowed = np.isfinite(realised.score)
    for part, price in multiplier.items():
        rows = np.flatnonzero(given.part == part)
        choice[rows] = choose(given.quality[rows], given.cost[rows], price, allowed[rows])
    return choice
