"""Published rules that decide each query alone: a quality threshold, and a threshold between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import filled_scores
from gateway.lab.frontier import aiq, hull
from gateway.lab.methods.case import Offer

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Case

BEYOND = 100.0  # USD: what is only second choice scores beyond the cost of any query


class Threshold:
    """The rule that AIOS ships: the cheapest model whose kNN-16 estimate reaches what is asked, else the best one."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def offer(self, rows: Ints) -> Offer:
        plain = self._case.plain[rows]
        return Offer(score=np.where(plain >= self._case.asked, self._case.mean_cost, BEYOND - plain))

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""


class TwoModels:
    """RouteLLM's form: a strong and a weak model, and the strong one where its predicted lead is large enough.

    The weak one makes the highest frontier together with the best single model; the cut is set on the sample, so that
    the average there is what is asked.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._strong = int(np.argmax(case.mean_score))
        self._weak = _partner(case.mean_cost, case.mean_score, self._strong)
        self._cut = self._cut_on_sample()

    def offer(self, rows: Ints) -> Offer:
        quality = self._case.quality[rows]
        strong = quality[:, self._strong] - quality[:, self._weak] >= self._cut
        score = np.tile(BEYOND + self._case.mean_cost, (len(rows), 1))
        score[:, self._strong] = np.where(strong, 0.0, 1.0)
        score[:, self._weak] = np.where(strong, 1.0, 0.0)
        return Offer(score=score)

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""

    def _cut_on_sample(self) -> float:
        sample = self._case.sample
        lead = sample.quality[:, self._strong] - sample.quality[:, self._weak]
        order = np.argsort(-lead, kind="stable")
        score, weight = filled_scores(sample)[order], sample.weight[order] / sample.weight.sum()
        gained = np.cumsum(weight * (score[:, self._strong] - score[:, self._weak]))
        reached = np.flatnonzero((weight @ score[:, self._weak]) + gained >= self._case.asked)
        if weight @ score[:, self._weak] >= self._case.asked:
            return float("inf")
        return float(lead[order[reached[0]]]) if reached.size else -float("inf")


def _partner(cost: Floats, score: Floats, best: int) -> int:
    """The model that, mixed with the best, makes the highest frontier of two on means (M,)."""
    cheapest = int(cost.argmin())

    def area(each: int) -> float:
        if cost[each] >= cost[best]:
            return -np.inf
        three = [cheapest, each, best]
        return aiq(hull(cost[three], score[three]), float(cost[cheapest]), float(cost[best]))

    return max(range(len(cost)), key=area)
