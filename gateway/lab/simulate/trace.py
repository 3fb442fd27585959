"""When queries come: Poisson, or in bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from gateway.core.problem import Floats

BURST: Final = 4.0  # times the mean rate while a burst lasts
BURST_SHARE: Final = 0.15  # of the time
BURST_QUERIES: Final = 400.0  # mean length of a burst, at its own rate

ARRIVALS: Final = ("poisson", "bursty")


def arrivals(kind: str, count: int, rate: float, draw: np.random.Generator) -> Floats:
    """(count,) ascending seconds at a mean rate per second.

    Bursts are a Poisson process that is switched between two rates: BURST times the mean for a BURST_SHARE of the time,
    and what is left of the mean otherwise.
    """
    gaps = draw.exponential(1.0, count)
    if kind == "poisson":
        return np.cumsum(gaps) / rate
    calm = (1.0 - BURST * BURST_SHARE) / (1.0 - BURST_SHARE)
    burst_queries = BURST * BURST_SHARE  # share of queries that come in bursts
    speed = np.empty(count)
    bursting, filled = False, 0
    while filled < count:
        mean = BURST_QUERIES if bursting else BURST_QUERIES * (1.0 - burst_queries) / burst_queries
        stretch = 1 + int(draw.exponential(mean))
        speed[filled : filled + stretch] = BURST if bursting else calm
        filled += stretch
        bursting = not bursting
    return np.cumsum(gaps / speed) / rate
