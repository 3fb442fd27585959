"""How many retries a fleet may afford, and how long each waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.025, 1.0


class RetryBudget:
    """Retries in proportion to queries, so that an outage is not multiplied; a few per second are always free.

    Args:
        share: retries earned by each query.
        per_second: retries earned by time, so that a quiet gateway may retry too.
        most: what can be saved up, and is there at the start.
    """

    def __init__(self, *, share: float = 0.2, per_second: float = 1.0, most: float = 20.0) -> None:
        self._share = share
        self._per_second = per_second
        self._most = most
        self._left = most
        self._at: float | None = None

    def earn(self) -> None:
        """A query was sent for the first time."""
        self._left = min(self._most, self._left + self._share)

    def spend(self, now: float) -> bool:
        """Whether one more retry may be sent, at this time in seconds."""
        if self._at is not None:
            self._left = min(self._most, self._left + self._per_second * (now - self._at))
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def backoff(attempt: int, draw: Callable[[], float]) -> float:
    """Seconds before retry number `attempt` (from 1): anywhere from nothing to twice the last bound.

    `draw` gives a number in [0, 1). A full spread keeps those who failed together from coming back together.
    """
    return draw() * min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (attempt - 1))
