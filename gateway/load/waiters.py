"""Those who wait for room, and the count by which they miss none."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

LATELY_S: Final = 0.1  # so long after a wait more of them are to be expected


class Waiters:
    """Wakes all who wait whenever room may have come. `wakes` counts these occasions."""

    def __init__(self) -> None:
        self.wakes = 0
        self._waited_at = -inf  # by the loop's clock, when the last one stopped
        self._waiting: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def contended(self) -> bool:
        """Whether somebody waits, or did a moment ago: whoever was woken may find no room and wait again."""
        return bool(self._waiting) or asyncio.get_running_loop().time() - self._waited_at < LATELY_S

    async def wait(self) -> None:
        """Until the next wake."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
            self._waited_at = asyncio.get_running_loop().time()

    def wake(self) -> None:
        """Room may have come."""
        self.wakes += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for waiter in waiting:
                if not waiter.done():  # it may have gone
                    waiter.set_result(None)

    def wake_in(self, seconds: float) -> None:
        """Room will come by then without anybody's doing. The earliest such time stands."""
        if seconds == inf:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self._ring)

    def close(self) -> None:
        """Wakes all for the last time."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.wake()

    def _ring(self) -> None:
        self._alarm = None
        self.wake()
