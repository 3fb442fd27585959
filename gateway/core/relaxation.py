"""The problem with its rows priced instead of kept: each query then chooses alone.

For any prices >= 0 the sum of these choices, less what the room is worth, is a bound on every assignment (weak
duality). The best prices give the bound of the linear relaxation, and the choices under them are nearly right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.assignment import Warm

if TYPE_CHECKING:
    from gateway.core.instance import Instance
    from gateway.core.problem import Floats, Ints

TINY = 1e-9  # keeps a row that nobody needs from dividing by nothing
ROUNDING = 1e-12  # relative; sums of 10,000 doubles are good to 1e-12


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Rows as numbers. Local rows have room per endpoint (slots, tokens); wide ones one limit (quality, budgets)."""

    price: Floats  # (Q, E + 1) nano-dollars, penalties included; the last column is being held
    need: Floats  # (R, Q, E)
    room: Floats  # (R, E)
    wide: Floats  # (B, Q, E)
    limit: Floats  # (B,)
    scale: Warm  # what a typical query needs of each row; makes steps comparable
    gangs: Gangs | None

    def start(self, warm: Warm | None) -> Warm:
        """The prices to start from: the last batch's when they fit, else none."""
        if warm is not None and warm.local.shape == self.room.shape and warm.wide.shape == self.limit.shape:
            return Warm(np.maximum(np.nan_to_num(warm.local), 0.0), np.maximum(np.nan_to_num(warm.wide), 0.0))
        return Warm(np.zeros_like(self.room), np.zeros_like(self.limit))

    def reduced(self, prices: Warm) -> Floats:
        """(Q, E + 1) what each column costs when its use of every row is paid for."""
        reduced = self.price.copy()
        cells = reduced[:, :-1]
        for price, need in zip(prices.local, self.need, strict=True):
            cells += price * need
        for rate, need in zip(prices.wide, self.wide, strict=True):
            if rate:
                cells += rate * need
        return reduced

    def used(self, choice: Ints) -> Warm:
        """What a choice takes of every row."""
        endpoints = self.room.shape[1]
        placed = np.flatnonzero((choice >= 0) & (choice < endpoints))
        where = choice[placed]
        local = np.empty_like(self.room)
        for row, need in enumerate(self.need):
            local[row] = np.bincount(where, weights=need[placed, where], minlength=endpoints)
        return Warm(local, self.wide[:, placed, where].sum(axis=1))


@dataclass(frozen=True, slots=True)
class Gangs:
    """The members of all gangs, sorted by gang."""

    members: Ints  # (N,) queries
    first: Ints  # (G,) where each gang begins in `members`
    of: Ints  # (N,) which gang, 0..G-1

    def at_best(self, reduced: Floats) -> tuple[Floats, Floats]:
        """(N, E) each member's best with its home there, and (G, E) the sum over each gang."""
        mine = reduced[self.members]
        member = np.minimum(mine[:, :-1], mine[:, -1:])
        return member, np.add.reduceat(member, self.first, axis=0)

    def align(self, reduced: Floats, choice: Ints) -> None:
        """Replaces the members' own choices by the best common endpoint of each gang; some may stay held."""
        home = self.at_best(reduced)[1].argmin(axis=1)[self.of]
        held = reduced.shape[1] - 1
        placed = reduced[self.members, home] <= reduced[self.members, held]
        choice[self.members] = np.where(placed, home, held)


@dataclass(frozen=True, slots=True)
class Dual:
    """The best prices found, their bound on the penalised objective, and what they make each column cost."""

    bound: float
    prices: Warm
    reduced: Floats  # (Q, E + 1)


def relax(instance: Instance, missing: int) -> Relaxation:
    """Rows of an instance, with the quality row asking `missing` less."""
    problem = instance.problem
    queries, endpoints = instance.shape
    need = [np.ones((queries, endpoints)), *(row.need.astype(np.float64) for row in problem.tokens)]
    room = [instance.slots, *(np.maximum(row.room, 0) for row in problem.tokens)]
    wide, limit = [], []
    if problem.batch_quality is not None:
        row = problem.batch_quality
        wide.append(np.where(row.members[:, None], row.asked - row.quality, 0))
        limit.append(missing)
    for budget in problem.budgets:
        wide.append(np.where(budget.members[:, None], budget.cost, 0))
        limit.append(max(0, budget.limit))
    stacked = np.array(wide, np.float64).reshape(len(wide), queries, endpoints)
    needs = np.stack(need)
    return Relaxation(
        price=instance.price.astype(np.float64),
        need=needs,
        room=np.stack(room).astype(np.float64),
        wide=stacked,
        limit=np.array(limit, np.float64),
        scale=Warm(needs.mean(axis=1) + TINY, np.abs(stacked).mean(axis=(1, 2)) + TINY),
        gangs=_gangs(problem.gang),
    )


def _gangs(gang: Ints | None) -> Gangs | None:
    if gang is None:
        return None
    members = np.flatnonzero(gang >= 0)
    if not len(members):
        return None
    members = members[np.argsort(gang[members], kind="stable")]
    _, first, of = np.unique(gang[members], return_index=True, return_inverse=True)
    return Gangs(members, first, of)


def losses(relaxation: Relaxation, dual: Dual) -> Floats:
    """(Q, E + 1) by how much at least an assignment that uses the cell is above the bound."""
    loss: Floats = dual.reduced - dual.reduced.min(axis=1, keepdims=True)
    gangs = relaxation.gangs
    if gangs is not None:
        member, home = gangs.at_best(dual.reduced)
        astray = (home - home.min(axis=1, keepdims=True))[gangs.of]
        mine = dual.reduced[gangs.members]
        loss[gangs.members, :-1] = astray + mine[:, :-1] - member
        loss[gangs.members, -1] = (astray + mine[:, -1:] - member).min(axis=1)
    return loss


def value(relaxation: Relaxation, prices: Warm, reduced: Floats) -> tuple[float, Ints]:
    """The bound that these prices give, rounded down, and the (Q,) choices behind it (column E is being held)."""
    choice: Ints = reduced.argmin(axis=1)
    if relaxation.gangs is not None:
        relaxation.gangs.align(reduced, choice)
    paid = reduced[np.arange(len(choice)), choice]
    worth = float((prices.local * relaxation.room).sum() + (prices.wide * relaxation.limit).sum())
    total = float(paid.sum())
    return total - worth - ROUNDING * (float(np.abs(paid).sum()) + worth), choice
