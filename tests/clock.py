"""The event loop whose time jumps: when nothing is ready, it is at once the time of the next timer."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from selectors import SelectorKey

T = TypeVar("T")


class JumpingSelector(selectors.SelectSelector):
    """Never waits: what it would have waited for, the clock is moved by."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("everything waits and nothing will happen")
            self.now += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Hours of waiting cost milliseconds. No threads: their work would take no time."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def hold_up(self, seconds: float) -> None:
        """So long nothing runs: a busy loop, or a process without CPU. Then timers are heard before sockets."""
        self._jumping.now += seconds


def jump(main: Coroutine[object, object, T]) -> T:
    """Runs it on a loop whose time jumps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
