"""What one more slot would have saved, per endpoint.

At an optimal placement the marginal of a slot is a shortest path: somebody moves in, the slot that this frees is taken
by somebody else, and so on, until the freed slot is one that nobody wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.instance import CLOSED
from gateway.core.rows import load_of

if TYPE_CHECKING:
    from gateway.core.instance import Instance
    from gateway.core.problem import Ints


def slot_savings(instance: Instance, choice: Ints, *, at_own_best: bool = False) -> Ints:
    """(E,) nano-dollars, for a choice that is optimal in the slot rows; 0 where there was room.

    With everybody at its own best of what is open, nobody wants a slot that frees, and the path ends at its first step.

    Where one more slot would also have kept a query from being left without room, only the money is counted.
    """
    queries, endpoints = instance.shape
    nothing = np.zeros(endpoints, np.int64)
    full = load_of(instance.problem, choice) >= instance.slots
    if not full.any():
        return nothing
    now = instance.price[np.arange(queries), choice]
    saved = now[:, None] - instance.problem.score
    wanted = instance.fits & full & (saved > 0)
    if not wanted.any():
        return nothing  # nobody would rather be at a full endpoint
    if at_own_best:
        return _money(instance, np.where(wanted, saved, 0).max(axis=0))
    change = np.where(instance.fits, -saved, CLOSED)
    origin, moves = _best_moves(change, choice)
    total = np.zeros(endpoints + 1, np.int64)  # by one more slot there; the last is being held, never full
    for _ in range(endpoints):
        better = np.where(full, np.minimum((moves + total[origin, None]).min(axis=0), 0), 0)
        if (better == total[:-1]).all():
            break
        total[:-1] = better
    return _money(instance, -total[:-1])


def _money(instance: Instance, saved: Ints) -> Ints:
    """A path that rescues a query carries one penalty more than its money."""
    money: Ints = np.maximum(np.where(saved > instance.penalty // 2, saved - instance.penalty, saved), 0)
    return money


def _best_moves(change: Ints, choice: Ints) -> tuple[Ints, Ints]:
    """Columns that hold queries, and for each the (E,) best change of price by moving one of them to each endpoint."""
    order = np.argsort(choice, kind="stable")
    origin, first = np.unique(choice[order], return_index=True)
    return origin, np.minimum.reduceat(change[order], first, axis=0)
