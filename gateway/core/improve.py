"""Makes a choice cheaper by moving one query, swapping two, or pushing one out to let another in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.instance import CLOSED
from gateway.core.problem import HELD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.core.problem import Bools, Floats, Ints
    from gateway.core.relaxation import Relaxation

WORTH = -0.5  # nano-dollars: prices are whole, so a smaller saving is rounding
PAIRS_LIMIT = 640  # queries in question; beyond, tables of pairs take longer than they save


class Move(NamedTuple):
    """One or two queries to new columns."""

    change: float  # nano-dollars
    queries: tuple[int, ...]
    columns: tuple[int, ...]


class Neighbourhood:
    """A choice, what it leaves of every row, and the moves from it.

    Args:
        relaxation: Prices and rows.
        choice: (Q,) where it starts.
        cells: (Q, E + 1) the cells that a move may use. Members of gangs stay where they are.
    """

    def __init__(self, relaxation: Relaxation, choice: Ints, cells: Bools) -> None:
        endpoints, tokens = relaxation.endpoints, relaxation.tokens
        self._price = np.where(cells, relaxation.price, np.inf)
        self.choice = np.where(choice == HELD, endpoints, choice)
        self._every = np.arange(len(choice))
        self._price[self._every, self.choice] = relaxation.price[self._every, self.choice]
        taken = np.ones((1, *relaxation.price.shape))
        taken[..., endpoints] = 0.0
        self._need = np.concatenate([taken, relaxation.uses[:tokens]])
        self._wide = relaxation.uses[tokens:]
        left = relaxation.room - relaxation.used(self.choice)
        self._left = np.full((1 + tokens, endpoints + 1), np.inf)  # being held has room for all
        self._left[:, :endpoints] = left[: relaxation.wide.start].reshape(1 + tokens, endpoints)
        self._spare = left[relaxation.wide]
        free = np.count_nonzero(self._price < np.inf, axis=1) > 1
        if relaxation.gangs is not None:
            free[relaxation.gangs.members] = False
        self._free = np.flatnonzero(free)

    @property
    def settled(self) -> Ints:
        """(Q,) the choice as it stands."""
        settled: Ints = np.where(self.choice == self._price.shape[1] - 1, HELD, self.choice)
        return settled

    def descend(self) -> bool:
        """Makes the best moves, each query's at most once; False when none saves anything."""
        moved: set[int] = set()
        for move in sorted(self._moves()):
            if moved.isdisjoint(move.queries) and self._admits(move):
                self._apply(move)
                moved.update(move.queries)
        return bool(moved)

    def mend(self, row: int) -> bool:
        """Moves single queries, the cheapest for what it brings first, until the wide row is kept; False if stuck."""
        for _ in self._every:
            lacking = -float(self._spare[row])
            if lacking <= 0:
                return True
            free, choice = self._free, self.choice[self._free]
            wide = self._wide[row, free]
            brings = np.minimum(self._wide[row, free, choice][:, None] - wide, lacking)
            rate = (self._price[free] - self._price[free, choice][:, None]) / np.maximum(brings, 1.0)
            rate[(brings <= 0) | ~self._fits(free, choice)] = np.inf
            if not rate.size or rate.min() == np.inf:
                return False
            query, column = divmod(int(rate.argmin()), rate.shape[1])
            self._apply(Move(0.0, (int(free[query]),), (column,)))
        return False

    def _admits(self, move: Move) -> bool:
        """Whether there still is room after the moves already made."""
        queries, columns = list(move.queries), list(move.columns)
        old = self.choice[queries].tolist()
        more = self._wide[:, queries, columns] - self._wide[:, queries, old]
        if (more.sum(axis=1) > np.maximum(self._spare, 0.0)).any():
            return False
        for query, column in zip(queries, columns, strict=True):
            left = self._left[:, column] - self._need[:, query, column]
            if column in old:
                leaver = queries[old.index(column)]
                left = left + self._need[:, leaver, column]
            if (left < 0).any():
                return False
        return True

    def _apply(self, move: Move) -> None:
        for query, column in zip(move.queries, move.columns, strict=True):
            old = self.choice[query]
            self._left[:, old] += self._need[:, query, old]
            self._left[:, column] -= self._need[:, query, column]
            self._spare += self._wide[:, query, old] - self._wide[:, query, column]
            self.choice[query] = column

    def _moves(self) -> Iterator[Move]:
        """For each query the best move of each kind, where it saves something."""
        free, choice = self._free, self.choice[self._free]
        if not len(free):
            return
        rows = np.arange(len(free))
        shift = self._price[free] - self._price[free, choice][:, None]
        shift[rows, choice] = np.inf
        shift[~self._fits(free, choice)] = np.inf
        column = shift.argmin(axis=1)
        saved = shift[rows, column]
        for row in np.flatnonzero(saved < WORTH):
            yield Move(float(saved[row]), (int(free[row]),), (int(column[row]),))
        if len(free) <= PAIRS_LIMIT:
            yield from self._pairs(free, choice, column, saved)

    def _fits(self, free: Ints, choice: Ints) -> Bools:
        """(F, E + 1) whether there is room for the query as things stand."""
        fits: Bools = np.all(self._need[:, free] <= self._left[:, None, :], axis=0)
        if len(self._spare):
            more = self._wide[:, free] - self._wide[:, free, choice][:, :, None]
            fits &= np.all(more <= np.maximum(self._spare, 0.0)[:, None, None], axis=0)
        return fits

    def _pairs(self, free: Ints, choice: Ints, column: Ints, saved: Floats) -> Iterator[Move]:
        """For each query its best swap, and its best entry into a place whose holder goes to its own best column."""
        enters = self._price[free][:, choice] - self._price[free, choice][:, None]  # [p, q]: p into the place of q
        enters[choice[:, None] == choice] = np.inf
        # A slot is free as soon as its holder leaves; tokens have to be compared.
        for left, need in zip(self._left[1:], self._need[1:], strict=True):
            enters[need[free][:, choice] > left[choice] + need[free, choice]] = np.inf
        swap = enters + enters.T
        push = enters + saved
        for spare, wide in zip(np.maximum(self._spare, 0.0), self._wide, strict=True):
            now = wide[free, choice]
            more = wide[free][:, choice] - now[:, None]
            swap[more + more.T > spare] = np.inf
            push[more + (wide[free, column] - now) > spare] = np.inf
        for table, swapped in ((swap, True), (push, False)):
            other = table.argmin(axis=1)
            change = table[np.arange(len(free)), other]
            for row in np.flatnonzero(change < WORTH):
                partner = int(other[row])
                goes = choice[row] if swapped else column[partner]
                yield Move(float(change[row]), (int(free[row]), int(free[partner])), (int(choice[partner]), int(goes)))


def mend(relaxation: Relaxation, choice: Ints) -> Ints:
    """(Q,) the choice with its first wide row kept, where moving single queries can do that."""
    around = Neighbourhood(relaxation, choice, relaxation.price < CLOSED)
    around.mend(0)
    return around.settled


def improve(
    relaxation: Relaxation, choice: Ints, cells: Bools, *, rounds: int, alive: Callable[[], bool] = lambda: True
) -> Ints:
    """(Q,) a choice that keeps the rows that `choice` keeps and costs no more."""
    around = Neighbourhood(relaxation, choice, cells)
    for _ in range(rounds):
        if not around.descend() or not alive():
            break
    return around.settled
