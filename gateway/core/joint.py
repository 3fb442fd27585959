"""Token, gang, quality or budget rows bind: prices for the rows, a choice by those prices, then CP-SAT.

Prices give a bound; the choices under them, repaired and improved, give an answer; bound and answer together tell
which cells can still matter, and CP-SAT looks at these in growing circles while time is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.core import cpsat
from gateway.core.ascent import ascend
from gateway.core.assignment import Step, Warm
from gateway.core.greedy import by_regret, one_by_one
from gateway.core.improve import improve
from gateway.core.instance import quality_instance
from gateway.core.relaxation import Dual, losses, relax
from gateway.core.rows import capacity_exceeded, missing_quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.instance import Instance
    from gateway.core.problem import Ints

ENOUGH = 1e-3  # relative gap that is not worth a millisecond more
ROUNDS = (10, 14, 20, 28, 40, 56)  # price steps between two looks for a better answer, which sets the next stride
PRICING_SHARE = 0.45  # of the time; the rest is CP-SAT's
FIRST_CIRCLE = 24  # cells beyond one per query: solved to the end in some 10 ms
GROWTH = 3
LEANS = (1.0, 1.02, 1.05, 1.1, 1.3, 2.0, 5.0)  # on the price of quality, until rounding meets the row
MOVES = 100  # improvements per round
SHORTEST_SEARCH_S = 0.003  # CP-SAT answers nothing in less


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rung of the ladder found."""

    choice: Ints
    bound: float  # penalised
    step: Step
    warm: Warm | None = None
    greedy: Ints | None = None  # where it was computed on the way


class Search:
    """One joint solve: the best choice and the best bound so far."""

    def __init__(self, instance: Instance, first: Ints, floor: float, warm: Warm | None) -> None:
        self._instance = instance
        self.choice = first
        self.missing = missing_quality(instance.problem, first)
        self.upper = instance.penalised(first)
        self.bound = floor
        self._relaxation = relax(instance, self.missing)
        start = self._relaxation.start(warm)
        self._dual = Dual(floor, start, self._relaxation.reduced(start))

    @property
    def done(self) -> bool:
        """Whether the bound says that more time is not worth it."""
        return self.upper - self.bound <= ENOUGH * abs(self.upper)

    @property
    def warm(self) -> Warm:
        """The prices of the rows."""
        return self._dual.prices

    def price(self, steps: int, alive: Callable[[], bool]) -> None:
        """Better prices, and the answer that they point to."""
        self._dual = ascend(self._relaxation, self._dual.prices, self.upper, steps=steps, alive=alive)
        self.bound = max(self.bound, self._dual.bound)
        rounded = self._rounded()
        if rounded is not None:
            self._offer(improve(self._relaxation, rounded, moves=MOVES, alive=alive))

    def refine(self, circle: int, seconds: float) -> bool:
        """Lets CP-SAT choose among the `circle` cells of least loss; False when these were all that can matter."""
        loss = losses(self._relaxation, self._dual)
        loss[np.arange(len(loss)), self.choice] = 0.0
        window = self.upper - self._dual.bound
        extra = np.sort(loss[(loss > 0) & (loss <= window)])
        last = len(extra) <= circle
        reach = window if last else float(extra[circle])
        found = cpsat.refine(
            self._instance, loss <= reach, self.choice, missing=self.missing, seconds=seconds, gap=ENOUGH / 2
        )
        if found is not None:
            # A choice outside the circle costs more than the dual's bound and the circle's reach together.
            self.bound = max(self.bound, min(found.bound, self._dual.bound + reach))
            self._offer(found.choice)
        return not last

    def _rounded(self) -> Ints | None:
        """A choice that keeps every row; None when leaning on quality does not meet its row."""
        prices, reduced = self._dual.prices, self._dual.reduced
        for lean in LEANS if self._instance.problem.batch_quality is not None else LEANS[:1]:
            if lean > 1:
                wide = prices.wide.copy()
                wide[0] *= lean
                reduced = self._relaxation.reduced(Warm(prices.local, wide))
            choice = by_regret(self._instance, reduced)
            if missing_quality(self._instance.problem, choice) <= self.missing:
                return choice
        return None

    def _offer(self, choice: Ints) -> None:
        upper = self._instance.penalised(choice)
        problem = self._instance.problem
        if upper < self.upper and missing_quality(problem, choice) <= self.missing:
            if capacity_exceeded(problem, choice):
                return  # a foreign solver is not taken at its word
            self.choice, self.upper = choice, upper


def solve_jointly(
    instance: Instance, floor: float, *, seconds: float, warm: Warm | None = None, clock: Callable[[], float] | None
) -> Answer:
    """The best choice found, and a bound on all of them that is at least `floor` (both penalised)."""
    began = clock() if clock else 0.0

    def left() -> float:
        return seconds - (clock() - began) if clock else seconds / 2

    greedy = one_by_one(instance)
    first = _best_quality(instance, greedy, seconds / 3, clock)
    search = Search(instance, first, floor, warm)
    for steps in ROUNDS:
        search.price(steps, lambda: left() > (1 - PRICING_SHARE) * seconds)
        if search.done or left() <= (1 - PRICING_SHARE) * seconds:
            break
    step, circle, more = Step.DUAL, FIRST_CIRCLE, True
    while more and not search.done and left() > SHORTEST_SEARCH_S:
        more = search.refine(circle, left())
        step, circle = Step.CP_SAT, circle * GROWTH
    return Answer(search.choice, search.bound, step, search.warm, greedy)


def _best_quality(instance: Instance, greedy: Ints, seconds: float, clock: Callable[[], float] | None) -> Ints:
    """Greedy, or what comes nearest to the asked quality when greedy misses it or leaves somebody without room."""
    row = instance.problem.batch_quality
    if row is None or _rank(instance, greedy)[:2] == (0, 0):
        return greedy
    quality = quality_instance(instance, row)
    best = solve_jointly(quality, -math.inf, seconds=seconds, clock=clock).choice
    return min(greedy, best, key=lambda choice: _rank(instance, choice))


def _rank(instance: Instance, choice: Ints) -> tuple[int, int, int]:
    """What counts, in this order: nobody without room, quality, money."""
    return (
        instance.without_room(choice),
        missing_quality(instance.problem, choice),
        instance.objective(choice),
    )
