"""The offline optimum with our predictions: one multiplier for the whole file, chosen knowing every query of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import Sample, trace
from gateway.core.promise import Promise
from gateway.domain import MaxCost
from gateway.lab.methods.case import Offer
from gateway.lab.methods.file import assign_file

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Case


class Fixed:
    """A multiplier for each query, set beforehand."""

    def __init__(self, case: Case, multiplier: Floats) -> None:
        self._case = case
        self._multiplier = multiplier  # (N,)

    def offer(self, rows: Ints) -> Offer:
        score = self._case.cost[rows] - self._multiplier[rows, None] * self._case.quality[rows]
        return Offer(score=score, joint=True)

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""


def optimum(case: Case) -> Fixed:
    """The least multiplier whose assignment of all queries keeps the promise; the most that a budget allows."""
    curve = trace(
        Sample(
            weight=np.ones(len(case.cost)),
            quality=case.quality,
            quality_sd=np.zeros_like(case.quality),
            score=case.quality,
            cost_usd=case.cost,
        )
    )
    goal = Promise(case.curve, case.objective).goal
    every = np.arange(len(case.cost))
    roomy = bool((case.slots >= case.batch_size).all())  # each query's own best, batch by batch or not

    def fixed(knot: int) -> Fixed:
        return Fixed(case, np.full(len(case.cost), curve.multiplier[knot]))

    def keeps(knot: int) -> bool:
        if roomy:
            choice = np.nan_to_num(case.cost - curve.multiplier[knot] * case.quality, nan=np.inf).argmin(axis=1)
        else:
            choice = assign_file(case, fixed(knot))
        if isinstance(case.objective, MaxCost):
            return bool(case.cost[every, choice].mean() > case.objective.usd_per_1k / 1_000)
        return bool(case.quality[every, choice].mean() >= goal)

    low, high = 0, len(curve.multiplier) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle + 1, high)
    over = isinstance(case.objective, MaxCost) and keeps(low)
    return fixed(max(0, low - over))
