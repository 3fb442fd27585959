"""How many retries a fleet may afford, and how long each waits."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.025, 1.0


class RetryBudget:
    """Retries in proportion to queries, so that an outage is not multiplied; a few per second are always free.

    What is not used is saved, for about as long as an answer may take: an endpoint that dies fails everything that it
    was answering in one moment, and each of those deserves its second try.

    Args:
        share: retries earned by each query.
        per_second: retries earned by time, so that a quiet gateway may retry too.
        least: can be saved up whatever the traffic, and is there at the start.
        memory_s: seconds of traffic whose retries can be saved up.
    """

    def __init__(
        self, *, share: float = 0.2, per_second: float = 1.0, least: float = 20.0, memory_s: float = 60.0
    ) -> None:
        self._share = share
        self._per_second = per_second
        self._least = least
        self._memory_s = memory_s
        self._left = least
        self._earned = 0.0  # by the queries of the last `memory_s`, fading
        self._at: float | None = None

    def earn(self, now: float) -> None:
        """A query was sent for the first time, at this time in seconds."""
        self._pass(now)
        self._earned += self._share
        self._add(self._share)

    def spend(self, now: float) -> bool:
        """Whether one more retry may be sent."""
        self._pass(now)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _pass(self, now: float) -> None:
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._earned *= exp(-passed / self._memory_s)
        self._add(self._per_second * passed)

    def _add(self, retries: float) -> None:
        self._left = min(max(self._least, self._earned), self._left + retries)


def backoff(attempt: int, draw: Callable[[], float]) -> float:
    """Seconds before retry number `attempt` (from 1): anywhere from nothing to twice the last bound.

    `draw` gives a number in [0, 1). A full spread keeps those who failed together from coming back together.
    """
    return draw() * min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (attempt - 1))
