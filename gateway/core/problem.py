"""One joint decision, stated in integers: who may go where, at what price, into how much room.

    minimise   sum score[q,e] x[q,e] + sum hold[q] h[q]
    subject to sum_e x[q,e] + h[q] = 1, and the rows below.

Money is in nano-dollars: a 60-token query at 0.02 USD per million costs 1.2 micro-dollars, so micro-dollars are too
coarse. Quality is in 1/10,000. Rounding each score to the nearest integer moves an objective by at most Q/2
nano-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

NANO = 1_000_000_000  # nano-dollars in a dollar
QUALITY_UNIT = 10_000  # parts of a quality of 1
HELD = -1  # the choice of a query that waits for the next window
NO_GANG = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """Room for tokens: a stock (KV held at once) or a flow (tokens per minute). sum_q need[q,e] x[q,e] <= room[e]."""

    name: str  # "kv" or "tokens_per_minute"
    need: Ints  # (Q, E)
    room: Ints  # (E,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuality:
    """The papers' row: sum (quality[q,e] - asked) x[q,e] >= 0 over the members that are placed."""

    quality: Ints  # (Q, E) in 1/10,000
    asked: int  # in 1/10,000
    members: Bools  # (Q,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one route may still spend in this batch: sum cost[q,e] x[q,e] <= limit over the members."""

    cost: Ints  # (Q, E) nano-dollars
    limit: int  # nano-dollars
    members: Bools  # (Q,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Q queries by E endpoints. Arrays are read-only by agreement."""

    score: Ints  # (Q, E) nano-dollars: cost - multiplier x quality + price of time; any value where not allowed
    allowed: Bools  # (Q, E) False where a hard filter says no
    hold: Ints  # (Q,) nano-dollars: what waiting for the next window costs
    may_hold: Bools  # (Q,) whether waiting is open to it (its endpoint is full and its deadline ahead)
    slots: Ints  # (E,) min(free slots, what is left of requests per minute)
    gang: Ints | None = None  # (Q,) queries with the same number >= 0 share one endpoint; NO_GANG is alone
    tokens: tuple[TokenRow, ...] = field(default=())
    batch_quality: BatchQuality | None = None
    budgets: tuple[Budget, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, E)."""
        queries, endpoints = self.score.shape
        return queries, endpoints
