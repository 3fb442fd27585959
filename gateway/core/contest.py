"""What matters only where there is not room for everybody: what waiting is worth to each, and whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.capacity import NOWHERE
from gateway.core.order import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.placing import Ask
    from gateway.core.problem import Bools, Floats, Ints

LEAST_USD_PER_SECOND = 1e-9  # keeps the patience of a query whose time is free finite


class Contest(NamedTuple):
    """Of a batch of Q queries."""

    hold_usd: Floats  # (Q,) what waiting costs
    may_hold: Bools  # (Q,) whether it is open
    patience_s: Floats  # (Q,) seconds after which it no longer pays, should nothing change
    wanted: Ints  # (E,) queries whose turn it is and whose best of all it is
    turn: Bools | None  # (Q,) whose turn it is; None: everybody's


def contest(asks: Sequence[Ask], open_usd: Floats, slots: Ints, wait_s: Callable[[Ints], Floats]) -> Contest:
    """What waiting for the best endpoint costs, whether it is open, and seconds for which it stays so.

    It is open where more queries of the batch want that endpoint than it has room for, while there is time. All are
    priced at the mean wait of those who would be left over, and each at what it has waited already: of two that want
    the same slot the older gets it, and whoever has waited long enough goes where there is room at a higher price.

    Args:
        asks: in the order of their turns.
        open_usd: (Q, E) scores, infinite where a query may not go.
        slots: (E,) free.
        wait_s: gives, for so many who are left over at each endpoint, their mean wait in seconds.
    """
    queries = np.arange(len(asks))
    favourite = open_usd.argmin(axis=1)
    own = open_usd[queries, favourite]
    someone = np.isfinite(own)
    best = np.where(someone, favourite, NOWHERE)
    left_over = np.maximum(_counts(best, len(slots)) - slots, 0)
    its_wait, per_second = wait_s(left_over)[favourite], np.array([ask.usd_per_second for ask in asks])
    hold = np.where(someone, own, 0.0) + per_second * (its_wait + np.array([ask.waited_s for ask in asks]))
    time_left = np.array([ask.time_left_s for ask in asks]) - its_wait
    elsewhere = np.where(slots > 0, open_usd, np.inf)
    elsewhere[queries, favourite] = np.inf
    patience = np.minimum((elsewhere.min(axis=1) - hold) / np.maximum(per_second, LEAST_USD_PER_SECOND), time_left)
    may_hold, turn = (left_over[favourite] > 0) & (time_left > 0) & someone, None
    if len({ask.party for ask in asks}) > 1 and (slots < len(asks)).any():
        turn = in_turn(open_usd, np.where(may_hold, hold, np.inf), slots)
        may_hold, best = may_hold | ~turn, best[turn]
    return Contest(hold, may_hold, patience, _counts(best, len(slots)), turn)


def _counts(chosen: Ints, endpoints: int) -> Ints:
    """(E,) how often each is chosen."""
    counts: Ints = np.bincount(chosen - NOWHERE, minlength=endpoints - NOWHERE)[-NOWHERE:]
    return counts
