"""How late the event loop is: a timer that notes when it was really called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from gateway.metrics.tally import Histogram

PERIOD_S: Final = 0.25


class LoopLag:
    """Measures while its block is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seen: Histogram) -> None:
        self._loop = loop
        self._seen = seen
        self._due = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._wind()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wind(self) -> None:
        self._due = self._loop.time() + PERIOD_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._seen.observe(max(0.0, self._loop.time() - self._due))
        self._wind()
