"""PORT (arXiv 2509.02718): the first few queries go anywhere, one multiplier is fitted to them, and then it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import Sample, trace
from gateway.domain import MaxCost
from gateway.lab.methods.case import Offer

if TYPE_CHECKING:
    from gateway.core.curve import Curve
    from gateway.core.problem import Ints
    from gateway.lab.methods.case import Case

WATCHED = 0.025  # share of all queries, as in the paper
LEAST_WATCHED = 32


class Port:
    """Learns a dual once, from nearest-neighbour estimates of the queries seen first."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._first = max(LEAST_WATCHED, round(WATCHED * len(case.cost)))
        self._seen: list[int] = []
        self._multiplier: float | None = None
        self._draws = np.random.default_rng(case.seed)

    def offer(self, rows: Ints) -> Offer:
        if len(self._seen) < self._first:
            return Offer(score=self._draws.random((len(rows), self._case.cost.shape[1])))
        if self._multiplier is None:
            self._multiplier = self._fitted()
        return Offer(score=self._case.cost[rows] - self._multiplier * self._case.plain[rows])

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:  # noqa: ARG002 - the protocol
        self._seen.extend(rows.tolist())

    def _fitted(self) -> float:
        """The least multiplier that keeps the promise on what was watched, by the plain estimates."""
        plain, cost = self._case.plain[self._seen], self._case.cost[self._seen]
        curve: Curve = trace(
            Sample(
                weight=np.ones(len(plain)), quality=plain, quality_sd=np.zeros_like(plain), score=plain, cost_usd=cost
            )
        )
        if isinstance(self._case.objective, MaxCost):
            knot = int(np.searchsorted(curve.cost_usd, self._case.objective.usd_per_1k / 1_000, side="right")) - 1
        else:
            knot = int(np.searchsorted(curve.predicted, self._case.asked))
        return float(curve.multiplier[min(max(knot, 0), len(curve.multiplier) - 1)])
