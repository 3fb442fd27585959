"""Our own method, and the same without the joint solve: what the gateway does, on a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.promise import Promise, spread
from gateway.core.sums import Sums
from gateway.lab.methods.case import Offer

if TYPE_CHECKING:
    from gateway.core.problem import Ints
    from gateway.lab.methods.case import Case


class Promised:
    """The carried multiplier. `joint` solves each batch as one; else query after query takes its best with room."""

    def __init__(self, case: Case, *, joint: bool = True) -> None:
        self._case = case
        self._joint = joint
        self._promise = Promise(case.curve, case.objective)
        self._sums = Sums()
        self._served = 0

    def offer(self, rows: Ints) -> Offer:
        multipliers = self._promise.multipliers(self._sums, spread(self._served, len(rows)))
        return Offer(score=self._case.cost[rows] - multipliers[:, None] * self._case.quality[rows], joint=self._joint)

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        self._served += len(rows)
        quality, cost = self._case.quality[rows, choice], self._case.cost[rows, choice]
        self._sums = self._sums.add(self._promise.delta(self._sums, quality, cost, displaced=displaced))


def ours(case: Case) -> Promised:
    """The gateway's own way."""
    return Promised(case)


def greedy(case: Case) -> Promised:
    """The same multiplier, one query after the other."""
    return Promised(case, joint=False)
