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

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

NANO = 1_000_000_000  # nano-dollars in a dollar
QUALITY_UNIT = 10_000  # parts of a quality of 1
HELD = -1  # the choice of a query that waits for the next window
NO_GANG = -1
SCORE_LIMIT = 2**40  # about 1,100 USD for one query; beyond it a score is a fault and its cell is closed
UNKNOWN = np.int64(2**62)  # a score that could not be computed; beyond SCORE_LIMIT


def nano_dollars(usd: Floats) -> Ints:
    """USD to whole nano-dollars, element by element. What is no number becomes UNKNOWN, which no solver will choose."""
    known = np.abs(usd) <= SCORE_LIMIT / NANO  # false for nan
    if np.count_nonzero(known) == known.size:
        return np.rint(usd * NANO).astype(np.int64)
    money: Ints = np.where(known, np.rint(np.where(known, usd, 0.0) * NANO), UNKNOWN).astype(np.int64)
    return money


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """Room for tokens: a stock (KV held at once) or a flow (tokens per minute). sum_q need[q,e] x[q,e] <= room[e]."""

    name: str  # "kv" or "tokens_per_minute"
    need: Ints  # (Q, E)
    room: Ints  # (E,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuality:
    """The papers' row: sum (quality[q,e] - asked) x[q,e] >= 0 over the members that are placed.

    Nobody is left without room for its sake: when it cannot be met, the best quality that there is serves.
    """

    quality: Ints  # (Q, E) in 1/10,000
    asked: int  # in 1/10,000
    members: Bools  # (Q,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one route may still spend in this batch: sum cost[q,e] x[q,e] <= limit over the members.

    It is a capacity like any other: whoever it cannot pay for is held.
    """

    cost: Ints  # (Q, E) nano-dollars
    limit: int  # nano-dollars
    members: Bools  # (Q,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Q queries by E endpoints. Arrays are read-only by agreement.

    A query that may not wait and finds no room is HELD all the same, but only where no other assignment would have
    left fewer of its kind without room: room is never exceeded and nobody is dropped. It is charged the dearer of its
    hold and its dearest option.
    """

    score: Ints  # (Q, E) nano-dollars: cost - multiplier x quality + price of time; any value where not allowed
    allowed: Bools  # (Q, E) False where a hard filter says no
    hold: Ints  # (Q,) nano-dollars: what waiting for the next window costs
    may_hold: Bools  # (Q,) whether waiting is open to it (its endpoint is full and its deadline ahead)
    slots: Ints  # (E,) min(free slots, what is left of requests per minute)
    gang: Ints | None = None  # (Q,) placed queries with the same number >= 0 share one endpoint; NO_GANG is alone
    tokens: tuple[TokenRow, ...] = field(default=())
    batch_quality: BatchQuality | None = None
    budgets: tuple[Budget, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, E)."""
        queries, endpoints = self.score.shape
        return queries, endpoints

    @property
    def has_side_rows(self) -> bool:
        """Whether anything but slots can bind."""
        return bool(self.tokens or self.budgets) or self.batch_quality is not None or self.gang is not None

    def check(self) -> None:
        """Raises ValueError naming the field whose shape or type does not fit: a fault of whoever built the problem."""
        queries, endpoints = self.shape
        cells, rows, columns = (queries, endpoints), (queries,), (endpoints,)
        fields: list[tuple[str, NDArray[np.generic], tuple[int, ...]]] = [
            ("score", self.score, cells),
            ("allowed", self.allowed, cells),
            ("hold", self.hold, rows),
            ("may_hold", self.may_hold, rows),
            ("slots", self.slots, columns),
        ]
        if self.gang is not None:
            fields.append(("gang", self.gang, rows))
        for row in self.tokens:
            fields += [(f"tokens.{row.name}.need", row.need, cells), (f"tokens.{row.name}.room", row.room, columns)]
        if self.batch_quality is not None:
            fields.append(("batch_quality.quality", self.batch_quality.quality, cells))
            fields.append(("batch_quality.members", self.batch_quality.members, rows))
        for budget in self.budgets:
            fields += [("budgets.cost", budget.cost, cells), ("budgets.members", budget.members, rows)]
        for name, array, shape in fields:
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, not {shape}")
            if array.dtype not in (np.int64, np.bool_):
                raise ValueError(f"{name} is {array.dtype}; money, tokens and quality are int64")
        if any(bool((row.need < 0).any()) for row in self.tokens):
            raise ValueError("tokens.need is negative somewhere")
