"""Who of a batch has a turn when there is not room for all: each in order takes what it likes best of what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.core.problem import Bools, Ints

    Floats = NDArray[np.float64]


def in_turn(score: Floats, hold: Floats, slots: Ints) -> Bools:
    """(Q,) False for those who find nothing left when everybody before them has had their turn.

    Whoever would rather wait than take what is left leaves it to those behind, and keeps its turn. All who have a
    turn can be placed together, or wait because they wish to; how is the joint decision's matter.

    Args:
        score: (Q, E) infinite where a query may not go; rows in the order of their turns.
        hold: (Q,) what waiting costs, in the unit of the score; infinite where it is closed.
        slots: (E,) free.
    """
    left = slots.copy()
    turns = np.ones(len(score), dtype=np.bool_)
    for row in range(len(score)):
        options = np.where(left > 0, score[row], np.inf)
        best = int(options.argmin())
        if not np.isfinite(options[best]):
            turns[row] = not np.isfinite(score[row]).any()  # it has nowhere to go at all: no matter of turns
        elif options[best] <= hold[row]:
            left[best] -= 1
    return turns
