"""What the links to one Redis tell each other: that it has just not answered."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LASTS_S: Final = 0.05  # a query goes from one link to the next in less


class Doubt:
    """Where several links share one, a query that asks one after another waits for a stalled Redis only once.

    Args:
        lasts_s: seconds in which nobody asks again.
    """

    def __init__(self, lasts_s: float = LASTS_S) -> None:
        self._lasts_s = lasts_s
        self._until = -inf
        self._waiting: set[asyncio.Timeout] = set()

    @property
    def fresh(self) -> bool:
        """Whether a link was left without an answer a moment ago."""
        return self._until > asyncio.get_running_loop().time()

    @contextmanager
    def ending(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Ends this time limit when another link is left without an answer meanwhile."""
        self._waiting.add(limit)
        try:
            yield
        finally:
            self._waiting.discard(limit)

    def spread(self) -> None:
        """A link was left without an answer."""
        now = asyncio.get_running_loop().time()
        self._until = now + self._lasts_s
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)
