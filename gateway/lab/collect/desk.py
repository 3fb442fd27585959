"""One endpoint as a run sees it: its room, its pace, and whether it is still asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.errors import UpstreamBusyError, UpstreamCredentialsError, UpstreamError, UpstreamRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.domain import Endpoint, Usage

FAILURES_IN_A_ROW: Final = 20  # after so many an endpoint is left alone


class Desk:
    """One endpoint: how many it is asked at once, and when it may be asked next."""

    def __init__(self, endpoint: Endpoint, now: Callable[[], float]) -> None:
        # an answer that is not streamed has no first byte before its last
        self.endpoint = replace(endpoint, timeouts=replace(endpoint.timeouts, first_byte=endpoint.timeouts.total))
        self.in_flight = 0
        self.closed = ""  # why it is asked no more
        self._room = asyncio.Semaphore(endpoint.capacity.concurrency)
        self._now = now
        self._next_at = 0.0
        self._failed = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place in its concurrency, within its requests and tokens per minute."""
        self.in_flight += 1
        try:
            async with self._room:
                await self._pace()
                yield
        finally:
            self.in_flight -= 1

    async def _pace(self) -> None:
        per_minute = self.endpoint.capacity.requests_per_minute
        start = max(self._next_at, self._now())
        self._next_at = start + (60 / per_minute if per_minute else 0.0)
        await asyncio.sleep(max(0.0, start - self._now()))

    def answered(self, usage: Usage) -> None:
        self._failed = 0
        if per_minute := self.endpoint.capacity.tokens_per_minute:
            self._next_at += 60 * (usage.input_tokens + usage.output_tokens) / per_minute

    def failed(self, error: UpstreamError) -> None:
        if isinstance(error, UpstreamBusyError):
            self._next_at = max(self._next_at, self._now() + (error.retry_after or 0.0))
            return
        if isinstance(error, UpstreamRejectedError):
            return
        self._failed += 1
        if isinstance(error, UpstreamCredentialsError) or self._failed >= FAILURES_IN_A_ROW:
            self.closed = error.message
