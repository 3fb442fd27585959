"""Makes a feasible choice cheaper by moving one query, swapping two, or pushing one out to let another in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.problem import HELD

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.problem import Bools, Floats, Ints
    from gateway.core.relaxation import Relaxation

WORTH = -0.5  # nano-dollars: prices are whole, so a smaller saving is rounding
PAIRS_LIMIT = 640  # queries; beyond, tables of pairs take longer than they save


class Move(NamedTuple):
    """One or two queries to new columns."""

    change: float
    queries: tuple[int, ...]
    columns: tuple[int, ...]


class Neighbourhood:
    """A choice, what it leaves of every row, and the best moves from it. Members of gangs stay where they are."""

    def __init__(self, relaxation: Relaxation, choice: Ints) -> None:
        queries, columns = relaxation.price.shape
        self._price = relaxation.price
        # Being held is a column with room for all and need of nothing.
        self._need = np.concatenate([relaxation.need, np.zeros((len(relaxation.need), queries, 1))], axis=2)
        self._wide = np.concatenate([relaxation.wide, np.zeros((len(relaxation.wide), queries, 1))], axis=2)
        self._fixed = np.zeros(queries, bool)
        if relaxation.gangs is not None:
            self._fixed[relaxation.gangs.members] = True
        self.choice = np.where(choice == HELD, columns - 1, choice)
        used = relaxation.used(choice)
        self._left = np.concatenate([relaxation.room - used.local, np.full((len(used.local), 1), np.inf)], axis=1)
        self._spare = relaxation.limit - used.wide
        self._every = np.arange(queries)

    def apply(self, move: Move) -> None:
        """Makes a move that was found here."""
        for query, column in zip(move.queries, move.columns, strict=True):
            old = self.choice[query]
            self._left[:, old] += self._need[:, query, old]
            self._left[:, column] -= self._need[:, query, column]
            self._spare += self._wide[:, query, old] - self._wide[:, query, column]
            self.choice[query] = column

    def best(self) -> Move | None:
        """The move that saves most, if any does."""
        every, choice = self._every, self.choice
        now = self._price[every, choice]
        wide_now = self._wide[:, every, choice]
        shift = self._price - now[:, None]
        shift[self._fixed] = np.inf
        shift[every, choice] = np.inf
        shift[~self._fits_alone(wide_now)] = np.inf
        column = shift.argmin(axis=1)
        saved = shift[every, column]
        single = int(saved.argmin())
        found = [Move(float(saved[single]), (single,), (int(column[single]),))]
        if len(every) <= PAIRS_LIMIT:
            found += self._pairs(now, wide_now, column, saved)
        move = min(found)
        return move if move.change < WORTH else None

    def _fits_alone(self, wide_now: Floats) -> Bools:
        """(Q, E + 1) whether there is room for the query as things stand."""
        fits: Bools = np.all(self._need <= self._left[:, None, :], axis=0)
        if len(self._spare):
            spare = np.maximum(self._spare, 0.0)[:, None, None]
            fits &= np.all(self._wide - wide_now[:, :, None] <= spare, axis=0)
        return fits

    def _pairs(self, now: Floats, wide_now: Floats, column: Ints, saved: Floats) -> list[Move]:
        """The best swap, and the best entry of p into the place of q, which goes to its own best column."""
        choice, every = self.choice, self._every
        enters = self._price[:, choice] - now[:, None]  # [p, q]: p into the place of q
        room = self._left[:, choice] + self._need[:, every, choice]
        closed = ~(self._need[:, :, choice] <= room[:, None, :]).all(axis=0)
        closed |= choice[:, None] == choice
        closed[self._fixed] = True
        closed[:, self._fixed] = True
        enters[closed] = np.inf
        swap = enters + enters.T
        push = enters + saved
        if len(self._spare):
            spare = np.maximum(self._spare, 0.0)[:, None, None]
            more = self._wide[:, :, choice] - wide_now[:, :, None]
            swap[~(more + more.transpose(0, 2, 1) <= spare).all(axis=0)] = np.inf
            leaves = self._wide[:, every, column] - wide_now
            push[~(more + leaves[:, None, :] <= spare).all(axis=0)] = np.inf
        one, two = divmod(int(swap.argmin()), len(every))
        first, second = divmod(int(push.argmin()), len(every))
        return [
            Move(float(swap[one, two]), (one, two), (int(choice[two]), int(choice[one]))),
            Move(float(push[first, second]), (second, first), (int(column[second]), int(choice[second]))),
        ]


def improve(relaxation: Relaxation, choice: Ints, *, moves: int, alive: Callable[[], bool] = lambda: True) -> Ints:
    """(Q,) a choice that keeps what `choice` keeps and costs no more."""
    around = Neighbourhood(relaxation, choice)
    for _ in range(moves):
        move = around.best()
        if move is None or not alive():
            break
        around.apply(move)
    held = relaxation.price.shape[1] - 1
    better: Ints = np.where(around.choice == held, HELD, around.choice)
    return better
