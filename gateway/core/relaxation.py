"""The problem with its rows priced instead of kept: each query then chooses alone.

For any prices >= 0 the sum of these choices, less what the room is worth, is a bound on every assignment (weak
duality). The best prices give the bound of the linear relaxation, and the choices under them are nearly right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gateway.core.assignment import Warm
    from gateway.core.instance import Instance
    from gateway.core.problem import Floats, Ints

TINY = 1e-9  # keeps a row that nobody needs from dividing by nothing
ROUNDING = 1e-12  # relative; sums of 10,000 doubles are good to 1e-12


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Rows as numbers.

    The N = E + T x E + B rows stand in one vector: slots, T token rows per endpoint, then quality and budgets, which
    have one row each. `uses` (T + B, Q, E + 1) has all but the slots, of which every placement takes one.
    """

    price: Floats  # (Q, E + 1) nano-dollars, penalties included; the last column is being held, which uses nothing
    uses: Floats
    room: Floats  # (N,)
    scale: Floats  # (N,) what a typical query takes of the row; makes steps comparable
    tokens: int  # T
    gangs: Gangs | None

    @property
    def endpoints(self) -> int:
        """E."""
        return int(self.price.shape[1]) - 1

    @property
    def wide(self) -> slice:
        """The rows that have one limit for all endpoints."""
        return slice(self.endpoints * (1 + self.tokens), None)

    def start(self, warm: Warm | None) -> Floats:
        """(N,) the last batch's prices where they fit, else none."""
        if warm is None or warm.prices.shape != self.room.shape:
            return np.zeros_like(self.room)
        return np.maximum(np.nan_to_num(warm.prices), 0.0)

    def reduced(self, prices: Floats) -> Floats:
        """(Q, E + 1) what each column costs when its use of every row is paid for."""
        endpoints, tokens = self.endpoints, self.tokens
        reduced = self.price.copy()
        cells = reduced[:, :endpoints]
        cells += prices[:endpoints]
        for row in range(tokens):
            cells += prices[endpoints * (row + 1) : endpoints * (row + 2)] * self.uses[row, :, :endpoints]
        for row, price in enumerate(prices[self.wide].tolist(), tokens):
            if price:
                reduced += price * self.uses[row]
        return reduced

    def used(self, choice: Ints) -> Floats:
        """(N,) what a choice (column E is being held) takes of every row."""
        endpoints, tokens = self.endpoints, self.tokens
        taken = self.uses[:, np.arange(len(choice)), choice]
        used = np.empty_like(self.room)
        used[:endpoints] = np.bincount(choice, minlength=endpoints + 1)[:endpoints]
        for row in range(tokens):
            total = np.bincount(choice, weights=taken[row], minlength=endpoints + 1)
            used[endpoints * (row + 1) : endpoints * (row + 2)] = total[:endpoints]
        used[self.wide] = taken[tokens:].sum(axis=1)
        return used

    def value(self, prices: Floats, reduced: Floats) -> tuple[float, Ints]:
        """The bound that these prices give, and the (Q,) choices behind it (column E is being held)."""
        choice: Ints = reduced.argmin(axis=1)
        if self.gangs is not None:
            self.gangs.align(reduced, choice)
        paid = reduced[np.arange(len(choice)), choice]
        return float(paid.sum() - prices @ self.room), choice


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
    prices: Floats  # (N,)
    reduced: Floats  # (Q, E + 1)


def relax(instance: Instance, missing: int) -> Relaxation:
    """Rows of an instance, with the quality row asking `missing` less."""
    problem = instance.problem
    queries, endpoints = instance.shape
    rows = [row.need for row in problem.tokens]
    room = [instance.slots, *(np.maximum(row.room, 0) for row in problem.tokens)]
    if problem.batch_quality is not None:
        row = problem.batch_quality
        rows.append(np.where(row.members[:, None], row.asked - row.quality, 0))
        room.append(np.array([missing]))
    for budget in problem.budgets:
        rows.append(np.where(budget.members[:, None], budget.cost, 0))
        room.append(np.array([max(0, budget.limit)]))
    tokens = len(problem.tokens)
    uses = np.zeros((len(rows), queries, endpoints + 1))
    for use, cells in zip(uses, rows, strict=True):
        use[:, :endpoints] = cells
    scale = [np.ones(endpoints), *(use[:, :endpoints].mean(axis=0) for use in uses[:tokens])]
    scale += [np.abs(uses[tokens:, :, :endpoints]).mean(axis=(1, 2))]
    return Relaxation(
        price=instance.price.astype(np.float64),
        uses=uses,
        room=np.concatenate(room).astype(np.float64),
        scale=np.concatenate(scale) + TINY,
        tokens=tokens,
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
