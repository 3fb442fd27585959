"""The first rung: each query at its own best. Optimal when no row is exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD

if TYPE_CHECKING:
    from gateway.core.problem import Bools, Ints


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
