"""Those who wait for room, and the count by which they miss none."""

from __future__ import annotations

import asyncio


class Waiters:
    """Wakes all who wait whenever room may have come. `wakes` counts these occasions."""

    def __init__(self) -> None:
        self.wakes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Until the next wake."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

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
        if seconds == float("inf"):
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
