"""Token, gang, quality or budget rows bind: prices for the rows, a choice by those prices, then CP-SAT.

Prices give a bound; the choices under them, repaired and improved, give an answer; bound and answer together tell
which cells can still matter. Where token rows meet a quality or budget row, a beam goes through the likeliest of them;
then CP-SAT looks at them in growing circles while time is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.core import cpsat
from gateway.core.ascent import ascend, opening
from gateway.core.assignment import Step, Warm
from gateway.core.beam import beam
from gateway.core.greedy import by_regret, one_by_one
from gateway.core.improve import improve, mend
from gateway.core.instance import quality_instance
from gateway.core.relaxation import Dual, losses, relax
from gateway.core.rows import capacity_exceeded, missing_quality
from gateway.core.transport import within_slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.instance import Instance
    from gateway.core.problem import Bools, Ints

ENOUGH = 1e-3  # relative gap that is not worth a millisecond more
ROUNDS = (10, 14, 20, 28, 40, 56, 80)  # price steps between two looks for a better answer, which sets the next stride
CREPT, IDLE = 0.03, 2  # two rounds that gain less than this share of the gap end the pricing
PRICED, POLISHED = (
    0.5,
    0.65,
)  # of the time, when pricing and polishing have to be done; the rest is for beams and CP-SAT
SWEEPS = 40  # of improvement; some five are used
POLISHED_CELLS = 2  # beyond the chosen one, per query
# Cells beyond the chosen ones, and partial choices: 5 and 9 ms on 64 x 8, of tokens and quality, where single moves and
# swaps end 1.7 % above the best known, CP-SAT needs 14 ms for 12 cells (0.8 %), and these come to 0.65 and 0.45 %.
BEAMS = ((36, 1000), (42, 3000))
FIRST_CIRCLE, GROWTH = 12, 3  # cells beyond the chosen ones: mostly solved in 5 ms; then three times as many
LEANS = (1.0, 1.1, 1.5, 4.0)  # on the price of quality, until a choice by prices can be mended to meet the row
GRACE = 0.2  # of the time, for a beam that has begun to end; CP-SAT is late by as much
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
        if not start.any():
            start = opening(self._relaxation)
        self._dual = Dual(floor, start, self._relaxation.reduced(start))
        self._lean = 0
        self._rough = [first]
        self._searched = False

    @property
    def done(self) -> bool:
        """Whether the bound says that more time is not worth it."""
        return self.upper - self.bound <= ENOUGH * abs(self.upper)

    @property
    def step(self) -> Step:
        """Who answers: prices whose bound proves enough, CP-SAT, or what was at hand when the time was over."""
        if self._searched:
            return Step.CP_SAT
        return Step.DUAL if self.done else Step.INCUMBENT

    @property
    def warm(self) -> Warm:
        """The prices of the rows."""
        return Warm(self._dual.prices)

    def price(self, steps: int, alive: Callable[[], bool]) -> bool:
        """Better prices, and the choice that they point to; False when neither was worth the round."""
        bound, upper = self.bound, self.upper
        self._dual = ascend(self._relaxation, self._dual.prices, upper, steps=steps, alive=alive)
        self.bound = max(bound, self._dual.bound)
        rounded = self._rounded()
        if rounded is not None:
            self._offer(rounded)
            self._rough = [self.choice] if rounded is self.choice else [self.choice, rounded]
        return self.bound - bound + upper - self.upper > CREPT * (upper - bound)

    def polish(self, alive: Callable[[], bool]) -> None:
        """Improves what came since the last time: a new best choice, or the last one that the prices pointed to."""
        cells, _, _ = self._circle(POLISHED_CELLS * len(self.choice))
        for choice in self._rough:
            self._offer(improve(self._relaxation, choice, cells, rounds=SWEEPS, alive=alive))

    def combine(self, alive: Callable[[], bool]) -> None:
        """Chooses anew among the cells of least loss, where token rows and wide rows cross; CP-SAT does elsewhere."""
        relaxation = self._relaxation
        if not 0 < relaxation.tokens < len(relaxation.uses):
            return
        for circle, width in BEAMS:
            if self.done or not alive():
                return
            cells, _, _ = self._circle(circle)
            loss = np.where(cells, losses(relaxation, self._dual), np.inf)
            window = self.upper - self._dual.bound
            found = beam(relaxation, self.choice, loss, window=window, width=width, alive=alive)
            if found is not None:
                self._offer(found)
                self._rough = [found]
                self.polish(alive)

    def refine(self, circle: int, seconds: float) -> bool:
        """Lets CP-SAT choose among the `circle` cells of least loss; False when these were all that can matter."""
        cells, reach, complete = self._circle(circle)
        found = cpsat.refine(self._instance, cells, self.choice, missing=self.missing, seconds=seconds, gap=ENOUGH / 2)
        if found is not None:
            self._searched = True
            # A choice outside the circle costs more than the dual's bound and the circle's reach together.
            self.bound = max(self.bound, min(found.bound, self._dual.bound + reach))
            self._offer(found.choice)
            self._rough = [found.choice]
        return not complete

    def _circle(self, extra: int) -> tuple[Bools, float, bool]:
        """The chosen cells and the `extra` of least loss, that loss, and whether others can matter."""
        loss = losses(self._relaxation, self._dual)
        loss[np.arange(len(loss)), self.choice] = 0.0
        window = self.upper - self._dual.bound  # a better answer has no cell of greater loss
        inside = np.sort(loss[(loss > 0) & (loss <= window)])
        complete = len(inside) <= extra
        reach = window if complete else float(inside[extra])
        return loss <= reach, reach, complete

    def _rounded(self) -> Ints | None:
        """A choice that keeps every row; None when leaning on quality does not meet its row."""
        problem = self._instance.problem
        self._lean = max(0, self._lean - 1)
        while self._lean < len(LEANS):
            prices, reduced = self._dual.prices, self._dual.reduced
            if self._lean:
                prices = prices.copy()
                prices[self._relaxation.wide.start] *= LEANS[self._lean]
                reduced = self._relaxation.reduced(prices)
            choice = by_regret(self._instance, reduced)
            if missing_quality(problem, choice) > self.missing:
                choice = mend(self._relaxation, choice)
            if missing_quality(problem, choice) <= self.missing:
                return choice
            self._lean += 1
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
    search = Search(instance, _best_quality(instance, greedy, seconds / 4, clock), floor, warm)
    idle = 0
    for steps in ROUNDS:
        idle = 0 if search.price(steps, lambda: left() > (1 - PRICED) * seconds) else idle + 1
        if search.done or idle == IDLE or left() <= (1 - PRICED) * seconds:
            break
    circle, more = FIRST_CIRCLE, True
    if not search.done:
        search.polish(lambda: left() > (1 - POLISHED) * seconds)
    if left() > SHORTEST_SEARCH_S:
        search.combine(lambda: left() > -GRACE * seconds)
    while more and not search.done and left() > SHORTEST_SEARCH_S:
        more = search.refine(circle, left())
        circle *= GROWTH
        search.polish(lambda: left() > 0)
    return Answer(search.choice, search.bound, search.step, search.warm, greedy)


def _best_quality(instance: Instance, greedy: Ints, seconds: float, clock: Callable[[], float] | None) -> Ints:
    """Greedy, or what comes nearest to the asked quality when greedy misses it or leaves somebody without room."""
    row = instance.problem.batch_quality
    if row is None or _rank(instance, greedy)[:2] == (0, 0):
        return greedy
    quality = quality_instance(instance, row)
    best = within_slots(quality)
    if best is None or capacity_exceeded(instance.problem, best):
        best = solve_jointly(quality, -math.inf, seconds=seconds, clock=clock).choice
    return min(greedy, best, key=lambda choice: _rank(instance, choice))


def _rank(instance: Instance, choice: Ints) -> tuple[int, int, int]:
    """What counts, in this order: nobody without room, quality, money."""
    return (
        instance.without_room(choice),
        missing_quality(instance.problem, choice),
        instance.objective(choice),
    )
