"""An upstream's answer as the rest of the gateway sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from gateway.errors import UpstreamError, UpstreamToldError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core.events import EventStream
    from gateway.core.reports import Report
    from gateway.domain import Endpoint, Usage
    from gateway.upstream.guard import Guard
    from gateway.upstream.wire import Answer

LINGER_S: Final = 0.25  # for an upstream that says `[DONE]` and never closes
# hop-by-hop, or ours to say
NOT_PASSED_BACK: Final = frozenset(
    {
        b"connection",
        b"content-encoding",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"server",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
RATES: Final = b"x-ratelimit-"
OURS: Final = b"x-paretogate-"


class Begun(NamedTuple):
    """What has been read of an answer that is none of the errors."""

    first: bytes
    events: EventStream | None  # None: `first` is all of it
    report: Report


class Reply:
    """One upstream's answer, begun: its first bytes are in hand, so it can no longer turn out to be an error.

    Read it once, with `chunks`. `usage`, `whole` and `first_at` say afterwards what it was.
    """

    __slots__ = (
        *("_answer", "_events", "_guard", "endpoint", "first", "first_at", "headers", "opened_at", "rates"),
        *("report", "status"),
    )

    def __init__(self, endpoint: Endpoint, answer: Answer, begun: Begun, guard: Guard, first_at: float) -> None:
        self.endpoint = endpoint
        self.status = answer.status
        self.headers: list[tuple[bytes, bytes]] = []  # that the client gets, in order
        self.rates: dict[str, str] = {}  # what it says is left of its limits
        self.first = begun.first
        self.report = begun.report  # a stream's grows as it is read
        self.opened_at = guard.opened_at
        self.first_at = first_at
        self._answer = answer
        self._events = begun.events
        self._guard = guard
        self._sort_headers()

    @property
    def usage(self) -> Usage | None:
        """As far as it has been told."""
        return self.report.usage

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self._events is None or self._events.whole

    @property
    def over(self) -> bool:
        """Whether what `chunks` gave last are a stream's last bytes: it is whole, and read to its end."""
        events = self._events
        return events is not None and events.done and events.whole and self._answer.body.ended

    @property
    def delivered(self) -> int:
        """Events that have been handed on: about a token each."""
        return self._events.events if self._events is not None else 0

    @property
    def streamed(self) -> bool:
        """Whether it comes in events."""
        return self._events is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The answer's bytes; of a stream only whole events.

        Raises:
            UpstreamError: it was cut, stalled or failed on the way.
        """
        yield self.first
        events, name = self._events, self.endpoint.name
        if events is None:
            return
        more = True
        while more and not events.done:
            chunk = await self._next()
            more = bool(chunk)
            ready = events.feed(chunk) if more else events.flush()
            if events.error:
                ready = self._answer.secrets.without(ready)
            if ready:
                yield ready
            if events.error:
                raise UpstreamToldError(f"{name} failed in the middle of its answer", endpoint=name)
            if events.garbled:
                raise UpstreamError(f"{name} sent an event that is no text", endpoint=name)
            if events.overflowing:
                raise UpstreamError(f"{name} sent an endless event", endpoint=name)
        if events.done:
            await self._linger()
        if not events.whole:
            raise UpstreamError(f"{name} ended in the middle of its answer", endpoint=name)

    async def _next(self) -> bytes:
        """What comes next of the body; empty at its end. Only the upstream is timed, no slow client."""
        guard = self._guard
        guard.allow(self.endpoint.timeouts.idle)
        try:
            chunk = await self._answer.body.part()
        except aiohttp.ClientError as error:
            name = self.endpoint.name
            raise UpstreamError(f"{name} broke off in the middle of its answer", endpoint=name) from error
        guard.allow(None)
        return chunk

    async def _linger(self) -> None:
        """The answer is whole; a moment for its end to come too, so that the connection can be used again."""
        if self._answer.body.ended:
            return
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(LINGER_S):
                while await self._answer.body.part():
                    pass

    def _sort_headers(self) -> None:
        secrets = self._answer.secrets
        named = self._answer.head.first(b"connection")  # hop-by-hop, as this upstream says
        dropped = {each.strip().lower() for each in named.split(b",")} if named else ()
        for name, value in self._answer.head.headers:
            if name in NOT_PASSED_BACK or name in dropped or name.startswith(OURS) or secrets.within(value):
                continue
            if name.startswith(RATES):
                self.rates[name.decode("latin-1")] = value.decode("latin-1")
            else:
                self.headers.append((name, value))
