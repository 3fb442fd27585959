"""The time-outs of one answer: to connect, to the first byte, then the pauses, and the total over all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.domain import Timeouts

HELD_UP_S: Final = 0.05  # a timer that rings so much too late was not heard: its loop was busy, or without CPU


class Guard:
    """Cancels its task when an upstream is late. One timer, which is mostly left to ring in vain and then looks again.

    `asyncio.timeout` would wind a new timer for every change, and there are five in the shortest answer. And it would
    blame the upstream for our own sleep: a loop that was held up hears its timers before it reads what has come.
    """

    __slots__ = (
        *("_before", "_due", "_ends_at", "_first", "_late", "_loop", "_rings_at", "_task", "_timer"),
        *("begun", "now", "opened_at"),
    )

    def __init__(self, timeouts: Timeouts, now: Callable[[], float], *, stream: bool) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("answers are waited for in tasks")
        self.now = now
        self.opened_at = now()
        self.begun = False  # some of the answer is here
        self._task = task
        self._before = task.cancelling()
        self._late = False
        self._ends_at = self.opened_at + timeouts.total
        # an answer that is not streamed begins when it is finished: its first byte says nothing of its upstream
        self._first = timeouts.first_byte if stream else timeouts.total
        self._due = self._rings_at = min(self._ends_at, self.opened_at + timeouts.connect)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._due - self.opened_at, self._ring)

    def connected(self) -> None:
        """The upstream owes its first byte now."""
        self.allow(self._first)

    def allow(self, seconds: float | None) -> None:
        """The upstream may take this long for its next bytes; None: it owes none."""
        self._due = self._ends_at if seconds is None else min(self._ends_at, self.now() + seconds)
        if self._due < self._rings_at:
            self._timer.cancel()
            self._wind()

    def stop(self, kind: type[BaseException] | None) -> bool:
        """Whether it was lateness that ended the scope, with this kind of exception. Call it once."""
        self._timer.cancel()
        return self._late and self._task.uncancel() <= self._before and kind is asyncio.CancelledError

    def _wind(self) -> None:
        self._rings_at = self._due
        self._timer = self._loop.call_later(max(0.0, self._due - self.now()), self._ring)

    def _ring(self) -> None:
        now = self.now()
        late_s = now - self._rings_at
        if now < self._due:
            self._wind()
        elif late_s > HELD_UP_S:  # as much again, to read what has come meanwhile
            self._due = now + late_s
            self._wind()
        else:
            self._late = True
            self._task.cancel()
