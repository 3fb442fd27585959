"""A Problem made ready for the solvers: closed cells out, being held as one more column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD, SCORE_LIMIT

if TYPE_CHECKING:
    from gateway.core.problem import BatchQuality, Bools, Ints, Problem

CLOSED = np.int64(2**56)  # above any price and penalty of a batch of 4,096; sums of 64 stay inside int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Column E (= index HELD = -1) of `price` is being held, so a choice indexes it directly."""

    problem: Problem
    slots: Ints  # (E,) at least 0
    fits: Bools  # (Q, E) allowed, with a sane score, and fitting every side row alone; slots not looked at
    price: Ints  # (Q, E + 1) nano-dollars with the penalty for being left without room; CLOSED where not open
    money: Ints  # (Q, E + 1) the same without the penalty
    penalty: int  # nano-dollars: more than any saving that leaving one more query without room could bring

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, E)."""
        return self.problem.shape

    @property
    def held_price(self) -> Ints:
        """(Q,) nano-dollars of being held, penalty included."""
        held: Ints = self.price[:, HELD]
        return held

    def objective(self, choice: Ints) -> int:
        """Nano-dollars of a choice, without penalties."""
        return int(self.money[np.arange(len(choice)), choice].sum())

    def penalised(self, choice: Ints) -> int:
        """What the solvers minimise: nano-dollars with penalties."""
        return int(self.price[np.arange(len(choice)), choice].sum())

    def without_room(self, choice: Ints) -> int:
        """How many are held though they may not wait."""
        return int(((choice == HELD) & ~self.problem.may_hold).sum())


def make_instance(problem: Problem) -> Instance:
    """Closes cells that cannot be used and prices being held."""
    score = problem.score
    fits = problem.allowed & (score <= SCORE_LIMIT) & (score >= -SCORE_LIMIT)
    for row in problem.tokens:
        fits &= row.need <= np.maximum(row.room, 0)
    for budget in problem.budgets:
        if not (budget.cost < 0).any():
            fits &= (budget.cost <= max(0, budget.limit)) | ~budget.members[:, None]
    held = np.maximum(np.minimum(problem.hold, SCORE_LIMIT), -SCORE_LIMIT)
    if not problem.may_hold.all():
        dearest = np.where(fits, score, -CLOSED).max(axis=1, initial=-CLOSED)
        held = np.where(problem.may_hold, held, np.maximum(held, dearest))
    return _priced(problem, fits, score, held)


def quality_instance(instance: Instance, row: BatchQuality) -> Instance:
    """The same room with missing quality for money: what can be reached at best."""
    lacking = np.where(row.members[:, None], row.asked - row.quality, 0)
    problem = replace(instance.problem, batch_quality=None)
    return _priced(problem, instance.fits, lacking, np.zeros_like(problem.hold))


def _priced(problem: Problem, fits: Bools, score: Ints, held: Ints) -> Instance:
    queries, endpoints = problem.shape
    slots = np.maximum(problem.slots, 0)
    money = np.full((queries, endpoints + 1), CLOSED)
    np.copyto(money[:, :endpoints], score, where=fits & (slots > 0))
    money[:, endpoints] = held
    penalty = 0
    price = money
    if not problem.may_hold.all():
        penalty = _penalty(problem, np.where(fits, score, held[:, None]), held)
        price = money.copy()
        price[:, endpoints] += np.where(problem.may_hold, 0, penalty)
    return Instance(problem=problem, slots=slots, fits=fits, price=price, money=money, penalty=penalty)


def _penalty(problem: Problem, options: Ints, held: Ints) -> int:
    """More than the rest of the batch can save when one more query is left without room.

    With slots alone, one query in or out re-places at most one query per endpoint: a simple alternating path; twice
    that, so that a sum of money and at most one penalty can be told apart. A token row can let one large query trade
    places with all the others.
    """
    queries, endpoints = problem.shape
    spread = np.maximum(options.max(axis=1, initial=-CLOSED), held) - np.minimum(
        options.min(axis=1, initial=CLOSED), held
    )
    if problem.has_side_rows:
        return int(spread.sum()) + 1
    return 2 * int(spread.max()) * (min(queries, endpoints) + 2) + 1
