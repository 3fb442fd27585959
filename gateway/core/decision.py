"""What was decided for one query, on what grounds, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.core.estimate import NOTHING, UNKNOWN
from gateway.core.problem import HELD, NANO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gateway.core.assignment import Assignment
    from gateway.core.estimate import Estimate, Expected, Rivals
    from gateway.core.fleet import Fleet
    from gateway.core.placing import Ask, Placing, Terrain
    from gateway.core.problem import Bools, Ints
    from gateway.domain import Outcome, Query, Usage

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it was decided; shared by the decisions of its members."""

    slots: Ints  # (E,) free before it
    healthy: Bools  # (E,)
    demand: Ints  # (E,) members for whom this endpoint was the best of all
    shadow: Ints  # (E,) nano-dollars that one more slot would have saved
    size: int
    held: int
    step: str
    objective: int  # nano-dollars
    bound: int  # nano-dollars
    gain: int  # nano-dollars saved against one after the other
    gap: float

    @classmethod
    def of(cls, placing: Placing, assignment: Assignment, terrain: Terrain) -> Batch:
        return cls(
            slots=placing.slots,
            healthy=terrain.healthy,
            demand=placing.wanted,
            shadow=assignment.shadow,
            size=len(placing.asks),
            held=assignment.choice.tolist().count(HELD),
            step=assignment.step.value,
            objective=assignment.objective,
            bound=assignment.bound,
            gain=assignment.gain,
            gap=assignment.gap,
        )


class Attempt(msgspec.Struct, frozen=True):
    """One try at one endpoint."""

    endpoint: str
    result: str  # answered, busy, failed or rejected
    message: str = ""


class Stopwatch:
    """Attributes time to parts: each lap ends where the next begins, so the parts sum to the whole."""

    __slots__ = ("_mark", "parts")

    def __init__(self, started: float) -> None:
        self._mark = started
        self.parts: dict[str, float] = {}  # seconds

    def lap(self, part: str, now: float) -> None:
        """All time since the last mark went into this part."""
        self.parts[part] = self.parts.get(part, 0.0) + now - self._mark
        self._mark = now

    def skip(self, now: float) -> None:
        """Time since the last mark was not ours: an upstream's."""
        self._mark = now

    @property
    def total(self) -> float:
        return sum(self.parts.values())


class Decision(msgspec.Struct, kw_only=True):
    """One query's story. The batcher writes what it decided, the pipeline what happened; nobody changes it after."""

    query: Query
    watch: Stopwatch
    estimate: Estimate = UNKNOWN  # stays so for a pinned model: there is nothing to compare
    expected: Expected = NOTHING  # of the chosen model
    ask: Ask | None = None  # None: the model was pinned and an endpoint was free
    batch: Batch | None = None
    score_usd: Floats | None = None  # (E,) cost - multiplier x quality + price of time
    allowed: Bools | None = None  # (E,)
    below_floor: bool = False
    rivals: Rivals | None = None
    times_held: int = 0
    endpoint: str = ""
    model: str = ""
    column: int = 0  # the model's, in the estimate
    attempts: list[Attempt] = []
    outcome: Outcome | None = None
    usage: Usage | None = None
    cost_usd: float | None = None  # actual
    first_byte_s: float | None = None  # since arrival
    total_s: float | None = None
    error: str = ""
    fleet: Fleet | None = None  # whose indices it speaks of; None: that which is served now


def slot_price_usd(batch: Batch, endpoint: int) -> float:
    """What one more slot there would have saved the batch."""
    return float(batch.shadow[endpoint]) / NANO
