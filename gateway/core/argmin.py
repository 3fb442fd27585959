"""The first rung: each query at its own best. Optimal when no row is exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD, SCORE_LIMIT

if TYPE_CHECKING:
    from gateway.core.problem import Bools, Floats, Ints


def clear_best(price: Floats, slots: Ints) -> Ints | None:
    """(Q,) each query's own best where nothing stands against it, which is so for most queries: None where it may.

    There every query has one cheapest place, at a sane price, and all have room in theirs: nobody has to wait or to
    give way. No price of being held, no penalty and no shadow is needed to see that this is the optimum and that no
    slot is worth money.

    Args:
        price: (Q, E) whole nano-dollars, infinite where a query may not go.
        slots: (E,) free.
    """
    queries, endpoints = price.shape
    if not queries or not endpoints:
        return None
    choice: Ints = price.argmin(axis=1)
    best = [price.item(row, column) for row, column in enumerate(choice.tolist())]
    if not all(-SCORE_LIMIT <= each < SCORE_LIMIT for each in best):  # false for nan, which argmin takes for the least
        return None
    if np.count_nonzero(price == np.array(best)[:, None]) > queries:
        return None
    crowded = np.bincount(choice, minlength=endpoints) > slots
    return None if np.count_nonzero(crowded) else choice


def own_best(price: Ints, slots: Ints) -> Ints:
    """(Q,) the cheapest column of each row of `price` (Q, E + 1), whose last column is being held.

    Equal prices go where most slots are left, then to the lower index; being held comes last.
    """
    endpoints = len(slots)
    choice: Ints = price.argmin(axis=1)
    cheapest = price == price.min(axis=1)[:, None]
    if np.count_nonzero(cheapest) > len(choice):
        tied = cheapest[:, :endpoints]
        _spread(choice, tied, np.flatnonzero(tied.sum(axis=1) > 1), slots)
    choice[choice == endpoints] = HELD
    return choice


def _spread(choice: Ints, tied: Bools, several: Ints, slots: Ints) -> None:
    """Twin replicas would otherwise all be the lower index, and the other would stand idle."""
    decided = np.delete(choice, several)
    left = slots - np.bincount(decided, minlength=len(slots) + 1)[: len(slots)]
    for query in several:
        options = np.flatnonzero(tied[query])
        chosen = options[left[options].argmax()]
        left[chosen] -= 1
        choice[query] = chosen
