"""Forwarding: the only place that opens connections to endpoints, and that knows what aiohttp raises."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, Self

import aiohttp
import msgspec

from gateway.core.events import READ, EventStream
from gateway.core.rejections import code_of, rejection
from gateway.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import SimpleNamespace

    from pydantic import SecretStr

    from gateway.core.decision import Stopwatch
    from gateway.domain import Endpoint, Timeouts, Usage

BODY_LIMIT: Final = 64 * 1024 * 1024  # bytes of one answer that is not streamed
ERROR_LIMIT: Final = 64 * 1024  # bytes of an error that are read
EVENTS: Final = "text/event-stream"
OK: Final = 200
# hop-by-hop, or ours to say
NOT_PASSED_BACK: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
NOT_PASSED_BACK_PREFIXES: Final = ("x-ratelimit-", "x-paretogate-")


class Payload(Protocol):
    """What is sent on of a request."""

    @property
    def path(self) -> str:
        """After the endpoint's URL."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def stream(self) -> bool: ...

    @property
    def include_usage(self) -> bool:
        """Whether the client asked for usage in its stream."""

    def body(self, serves: str) -> bytes:
        """For an upstream that knows the model by this name."""


class Guard:
    """One timer for the time-outs of one answer: connect and first byte, then the pauses, and the total over all."""

    def __init__(self, timeouts: Timeouts, now: Callable[[], float]) -> None:
        self.now = now
        self.opened_at = self.now()
        self._ends_at = self.opened_at + timeouts.total
        self.timeout = asyncio.timeout_at(min(self._ends_at, self.opened_at + timeouts.first_byte))

    def allow(self, seconds: float | None) -> None:
        """The upstream may take this long for its next bytes; None: it owes none."""
        self.timeout.reschedule(self._ends_at if seconds is None else min(self._ends_at, self.now() + seconds))


class Reply:
    """One upstream's answer, begun: its first bytes are in hand, so it can no longer turn out to be an error.

    Read it once, with `chunks`. `usage`, `whole` and `first_at` say afterwards what it was.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        answer: aiohttp.ClientResponse,
        *,
        events: EventStream | None,
        first: bytes,
        guard: Guard,
    ) -> None:
        self.endpoint = endpoint
        self.status = answer.status
        self.headers = _passed_back(answer)
        self.first = first
        self.usage: Usage | None = None if events else _usage_of(first)
        self.whole = events is None
        self.delivered = 0  # events with content that have been handed on
        self.opened_at = guard.opened_at
        self.first_at = guard.now()
        self._answer = answer
        self._events = events
        self._guard = guard

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
        if self._events is None:
            return
        async for chunk in self._rest(self._events):
            yield chunk
        self._note(self._events)
        if not self.whole:
            raise UpstreamError(f"{self.endpoint.name} ended in the middle of its answer", endpoint=self.endpoint.name)

    async def _rest(self, events: EventStream) -> AsyncIterator[bytes]:
        content = self._answer.content
        while True:
            self._guard.allow(self.endpoint.timeouts.idle)
            try:
                chunk = await content.readany()
            except aiohttp.ClientError as error:
                raise UpstreamError(f"{self.endpoint.name} broke off", endpoint=self.endpoint.name) from error
            self._guard.allow(None)  # a slow client is not the upstream's fault
            if not chunk:
                return
            if events.overflowing:
                raise UpstreamError(f"{self.endpoint.name} sent an endless event", endpoint=self.endpoint.name)
            ready = events.feed(chunk)
            self._note(events)
            if ready:
                yield ready

    def _note(self, events: EventStream) -> None:
        self.usage, self.delivered = events.usage, events.deltas
        self.whole = events.whole and not events.failed


class Upstream:
    """One session for all endpoints. `async with` owns its connections.

    Args:
        keys: by endpoint.
        now: seconds, on the scale of the loop's clock.
        wall: seconds since the epoch, for a `retry-after` that is a date.
    """

    def __init__(
        self,
        keys: Mapping[str, SecretStr],
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._now = now
        self._wall = wall
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Leases limit what is in flight; a second limit here would only hide load from them.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_connect_trace(self._now)]
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch) -> AsyncIterator[Reply]:
        """Sends a query and waits for the first bytes of its answer; leaving the scope closes the connection.

        The watch is told what connecting took; the wait for the answer is not ours.

        Raises:
            UpstreamError: and what stands under it in the error tree; nothing has been answered then.
        """
        guard = Guard(endpoint.timeouts, self._now)
        try:
            async with guard.timeout, self._post(endpoint, payload, watch) as answer:
                first, events = await self._begin(endpoint, answer, payload)
                watch.skip(guard.now())
                guard.allow(None)
                yield Reply(endpoint, answer, events=events, first=first, guard=guard)
        except TimeoutError as error:
            raise UpstreamError(f"{endpoint.name} took too long", endpoint=endpoint.name) from error
        except aiohttp.ClientError as error:
            reason = type(error).__name__
            raise UpstreamError(f"{endpoint.name} could not be reached: {reason}", endpoint=endpoint.name) from error

    def _post(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("the upstream session is entered with `async with`")
        headers = dict(payload.headers)
        if (key := self._keys.get(endpoint.name)) is not None:
            headers["authorization"] = f"Bearer {key.get_secret_value()}"
        return self._session.post(
            endpoint.url + payload.path,
            data=payload.body(endpoint.serves),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.timeouts.connect),
            allow_redirects=False,
            trace_request_ctx=watch,
        )

    async def _begin(
        self, endpoint: Endpoint, answer: aiohttp.ClientResponse, payload: Payload
    ) -> tuple[bytes, EventStream | None]:
        if answer.status != OK:
            text = await answer.content.read(ERROR_LIMIT)
            raise rejection(answer.status, text, answer.headers, endpoint.name, now=self._wall())
        if payload.stream and answer.content_type == EVENTS:
            return await self._first_events(endpoint, answer, EventStream(strip_usage=not payload.include_usage))
        whole = await _whole_answer(endpoint, answer)
        _check_answer(endpoint, whole, answer)
        return whole, None

    async def _first_events(
        self, endpoint: Endpoint, answer: aiohttp.ClientResponse, events: EventStream
    ) -> tuple[bytes, EventStream]:
        """Reads up to the first whole event. One that is an error becomes its real status."""
        while chunk := await answer.content.readany():
            ready = events.feed(chunk)
            if events.failed:
                _, _, error = ready.partition(b"data:")
                raise rejection(code_of(error), error, answer.headers, endpoint.name, now=self._wall())
            if events.overflowing:
                break
            if ready:
                return ready, events
        raise UpstreamError(f"{endpoint.name} sent no event", endpoint=endpoint.name)


async def _whole_answer(endpoint: Endpoint, answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    while chunk := await answer.content.readany():
        parts.append(chunk)
        size += len(chunk)
        if size > BODY_LIMIT:
            raise UpstreamError(f"{endpoint.name} sent more than {BODY_LIMIT} bytes", endpoint=endpoint.name)
    return b"".join(parts)


def _check_answer(endpoint: Endpoint, whole: bytes, answer: aiohttp.ClientResponse) -> None:
    try:
        failed = READ.decode(whole).failed
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamError(f"{endpoint.name} answered with no JSON", endpoint=endpoint.name) from error
    if failed:
        raise rejection(code_of(whole), whole, answer.headers, endpoint.name)


def _connect_trace(now: Callable[[], float]) -> aiohttp.TraceConfig:
    """Ends the lap "connect" when a request's headers have been written."""

    async def sent(_: object, context: SimpleNamespace, __: object) -> None:
        watch: Stopwatch = context.trace_request_ctx
        watch.lap("connect", now())

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(sent)
    return trace


def _usage_of(whole: bytes) -> Usage | None:
    tokens = READ.decode(whole).tokens
    return tokens.usage() if tokens is not None else None


def _passed_back(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower(), value)
        for name, value in answer.raw_headers
        if (text := name.decode("latin-1").lower()) not in NOT_PASSED_BACK
        and not text.startswith(NOT_PASSED_BACK_PREFIXES)
    ]
