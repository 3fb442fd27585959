"""Methods that look at no estimate of ours: random, in turn, always the cheapest, always the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.lab.methods.case import Offer

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Case


class Random:
    """Any model, with equal chance."""

    def __init__(self, case: Case) -> None:
        self._draws = np.random.default_rng(case.seed).random(case.cost.shape)

    def offer(self, rows: Ints) -> Offer:
        return Offer(score=self._draws[rows])

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""


class RoundRobin:
    """The models in turn."""

    def __init__(self, case: Case) -> None:
        self._models = case.cost.shape[1]

    def offer(self, rows: Ints) -> Offer:
        turn = (np.arange(self._models)[None, :] - rows[:, None]) % self._models
        return Offer(score=turn.astype(np.float64))

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""


class Ranked:
    """The models in one order for every query: the first with room."""

    def __init__(self, order: Floats) -> None:
        self._order = order

    def offer(self, rows: Ints) -> Offer:
        return Offer(score=np.tile(self._order, (len(rows), 1)))

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Nothing to learn."""


def cheapest(case: Case) -> Ranked:
    """The model of least mean cost on the sample."""
    return Ranked(case.mean_cost)


def best(case: Case) -> Ranked:
    """The model of highest mean score on the sample."""
    return Ranked(1.0 - case.mean_score)
