"""From what endpoints can take and what is taken to what is free, and to one endpoint of a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from gateway.domain import Capacity

UNLIMITED = np.int64(2**40)  # room of a row without a limit; sums of many stay far from the end of int64
NOWHERE = -1  # no endpoint has room


@dataclass(frozen=True)
class Headroom:
    """What is free now, per endpoint in the book's order: capacity less what is held.

    Each field is (E,) int64, never negative, `UNLIMITED` where there is no limit. Read-only by agreement: a book may
    give the same one out again.
    """

    slots: NDArray[np.int64]
    requests: NDArray[np.int64]  # left of requests per minute
    tokens: NDArray[np.int64]  # left of tokens per minute
    kv: NDArray[np.int64]  # tokens that may still be held at once

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(E,) queries that may be placed now: free slots, or what is left of requests per minute if that is less."""
        return np.minimum(self.slots, self.requests)

    @cached_property
    def limits_tokens(self) -> bool:
        """Whether some endpoint has a limit of tokens."""
        return bool(min(self.kv.min(initial=UNLIMITED), self.tokens.min(initial=UNLIMITED)) < UNLIMITED)


@dataclass(frozen=True, slots=True)
class Load:
    """What is taken, per endpoint. Each field is (E,) int64."""

    slots: NDArray[np.int64]  # queries in flight
    requests: NDArray[np.int64]  # in the last minute
    tokens: NDArray[np.int64]  # in the last minute
    kv: NDArray[np.int64]  # tokens held now


def _limit(value: int | None) -> int:
    return int(UNLIMITED) if value is None else value


def limits(capacities: Iterable[Capacity]) -> Headroom:
    """What is free when nothing is taken."""
    rows = [
        (c.concurrency, _limit(c.requests_per_minute), _limit(c.tokens_per_minute), _limit(c.kv_tokens))
        for c in capacities
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Headroom(*(np.ascontiguousarray(column) for column in table.T))


def headroom(whole: Headroom, load: Load) -> Headroom:
    """What is left of the whole. A row without a limit stays without one."""

    def left(limit: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(limit >= UNLIMITED, limit, np.maximum(limit - taken, 0))

    return Headroom(
        slots=left(whole.slots, load.slots),
        requests=left(whole.requests, load.requests),
        tokens=left(whole.tokens, load.tokens),
        kv=left(whole.kv, load.kv),
    )


def eased(
    free: Headroom, whole: Headroom, share: NDArray[np.float64], probes: NDArray[np.int64] | None = None
) -> Headroom:
    """The headroom as breakers allow it.

    Args:
        free: what is left.
        whole: what there is when nothing is taken.
        share: (E,) of its slots that an endpoint may use: 1 is well, less is a slow start, 0 is not to be tried. Above
            0 it leaves one slot at least, else nothing would ever show that the endpoint is well.
        probes: (E,) queries that may try it where the share is 0.
    """
    allowed = np.ceil(whole.slots * np.clip(share, 0.0, 1.0)).astype(np.int64)
    slots = np.clip(allowed - (whole.slots - free.slots), 0, free.slots)
    if probes is not None:
        slots = np.where(share > 0, slots, np.minimum(free.slots, probes))
    return Headroom(slots=slots, requests=free.requests, tokens=free.tokens, kv=free.kv)


def roomiest(room: NDArray[np.int64], draw: Callable[[], float]) -> int:
    """The index with the most room, or NOWHERE when none has any. Ties go to one of them at random.

    `draw` gives a number in [0, 1). Picking the first of a tie would send all of a quiet time to one endpoint.
    """
    if room.size == 0:
        return NOWHERE
    most = room.max()
    if most <= 0:
        return NOWHERE
    ties = np.flatnonzero(room == most)
    return int(ties[int(draw() * ties.size)])
