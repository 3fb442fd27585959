"""Endpoints on paper: slots, and a time that is linear in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.latency import DECODE_RATE, PREFILL_RATE
from gateway.core.paces import CROWDING

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints

OVERHEAD_S: Final = 0.2  # network and first scheduling


@dataclass(frozen=True, slots=True)
class Fleet:
    """E endpoints of M models.

    Args:
        model: (E,) of each endpoint.
        slots: queries that each answers at once.
    """

    model: Ints
    slots: int

    @classmethod
    def even(cls, models: int, endpoints: int, slots: int) -> Fleet:
        """As many endpoints of each model as can be, the first models one more."""
        return cls(np.arange(endpoints, dtype=np.int64) % models, slots)

    def capacity(self, seconds: Floats) -> float:
        """Queries per second when every slot is busy, given (N, M) seconds of service."""
        return float((self.slots / seconds.mean(axis=0)[self.model]).sum())


def service_seconds(input_tokens: Floats, output_tokens: Floats, running: float = 0.0) -> Floats:
    """Seconds from the first to the last moment in a slot that `running` others share, any shape."""
    per_token = (1.0 + CROWDING * running) / DECODE_RATE
    seconds: Floats = OVERHEAD_S + input_tokens / PREFILL_RATE + output_tokens * per_token
    return seconds
