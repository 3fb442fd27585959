"""Forwarding: the only place that opens connections to endpoints, and that knows what aiohttp raises."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

import aiohttp
import msgspec

from gateway import __version__
from gateway.core.events import EventStream
from gateway.core.rejections import code_of, rejection
from gateway.core.reports import Report, read_report
from gateway.errors import UpstreamError, UpstreamToldError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from aiohttp.connector import Connection
    from pydantic import SecretStr

    from gateway.core.decision import Stopwatch
    from gateway.domain import Endpoint, Timeouts, Usage

BODY_LIMIT: Final = 64 * 1024 * 1024  # bytes of one answer that is not streamed
LINGER_S: Final = 0.25  # for an upstream that says `[DONE]` and never closes
IN_ONE_WRITE: Final = 2**20  # bytes; aiohttp writes a longer body in pieces, so that others are not held up
ERROR_LIMIT: Final = 64 * 1024  # bytes of an error that are read
EVENTS: Final = "text/event-stream"
OK: Final = 200
# answers are read as bytes, so they are to come as such; some providers refuse clients without a name
SENT_ALWAYS: Final = {"accept-encoding": "identity", "user-agent": f"paretogate/{__version__}"}
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
RATES: Final = "x-ratelimit-"
NOT_PASSED_BACK_PREFIXES: Final = (b"x-ratelimit-", b"x-paretogate-")


# whose request a connection is being made for, and the clock to time it with
CONNECTING: ContextVar[tuple[Stopwatch, Callable[[], float]]] = ContextVar("connecting")


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

    def __init__(self, timeouts: Timeouts, now: Callable[[], float], *, stream: bool) -> None:
        self.now = now
        self.opened_at = self.now()
        self.begun = False  # some of the answer is here
        self._ends_at = self.opened_at + timeouts.total
        # an answer that is not streamed begins when it is finished: its first byte says nothing of its upstream
        first = timeouts.first_byte if stream else timeouts.total
        self.timeout = asyncio.timeout_at(min(self._ends_at, self.opened_at + first))

    def allow(self, seconds: float | None) -> None:
        """The upstream may take this long for its next bytes; None: it owes none."""
        self.timeout.reschedule(self._ends_at if seconds is None else min(self._ends_at, self.now() + seconds))


class Begun(NamedTuple):
    """What has been read of an answer that is none of the errors."""

    first: bytes
    events: EventStream | None  # None: `first` is all of it
    report: Report


class Reply:
    """One upstream's answer, begun: its first bytes are in hand, so it can no longer turn out to be an error.

    Read it once, with `chunks`. `usage`, `whole` and `first_at` say afterwards what it was.
    """

    def __init__(self, endpoint: Endpoint, answer: aiohttp.ClientResponse, begun: Begun, guard: Guard) -> None:
        self.endpoint = endpoint
        self.status = answer.status
        self.headers = _passed_back(answer)
        self.rates = _rates(answer)  # what it says is left of its limits
        self.first = begun.first
        self.report = begun.report  # a stream's grows as it is read
        self.opened_at = guard.opened_at
        self.first_at = guard.now()
        self._answer = answer
        self._events = begun.events
        self._guard = guard

    @property
    def usage(self) -> Usage | None:
        """As far as it has been told."""
        return self.report.usage

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self._events is None or self._events.whole

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
        if self._events is None:
            return
        name = self.endpoint.name
        async for chunk in self._rest(self._events):
            yield chunk
            if self._events.error:
                raise UpstreamToldError(f"{name} failed in the middle of its answer", endpoint=name)
        if not self.whole:
            raise UpstreamError(f"{name} ended in the middle of its answer", endpoint=name)

    async def _rest(self, events: EventStream) -> AsyncIterator[bytes]:
        content, name = self._answer.content, self.endpoint.name
        while True:
            self._guard.allow(self.endpoint.timeouts.idle)
            try:
                chunk = await content.readany()
            except aiohttp.ClientError as error:
                raise UpstreamError(f"{name} broke off in the middle of its answer", endpoint=name) from error
            self._guard.allow(None)  # a slow client is not the upstream's fault
            ready = events.feed(chunk) if chunk else events.flush()
            if ready:
                yield ready
            if not chunk:
                return
            if events.garbled:
                raise UpstreamError(f"{name} sent an event that is no text", endpoint=name)
            if events.done:
                await self._linger(content)
                return
            if events.overflowing:
                raise UpstreamError(f"{name} sent an endless event", endpoint=name)

    async def _linger(self, content: aiohttp.StreamReader) -> None:
        """The answer is whole; a moment for its end to come too, so that the connection can be used again."""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(LINGER_S):
                while await content.readany():
                    pass


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
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=SENT_ALWAYS,
            request_class=TimedRequest,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    def open(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch) -> Opening:
        """Sends a query and waits for the first bytes of its answer; leaving the scope closes the connection.

        The watch is told what connecting took; the wait for the answer is not ours.

        Raises:
            UpstreamError: and what stands under it in the error tree; on entering, nothing has been answered then.
        """
        guard = Guard(endpoint.timeouts, self._now, stream=payload.stream)
        return Opening(self, endpoint, payload, guard, watch)

    async def post(self, endpoint: Endpoint, payload: Payload) -> aiohttp.ClientResponse:
        """The head of the endpoint's answer to this, under our key for it."""
        if self._session is None:
            raise RuntimeError("the upstream session is entered with `async with`")
        headers = dict(payload.headers)
        if (key := self._keys.get(endpoint.name)) is not None:
            headers["authorization"] = f"Bearer {key.get_secret_value()}"
        body = payload.body(endpoint.serves)
        return await self._session.post(
            endpoint.url + payload.path,
            data=body if len(body) <= IN_ONE_WRITE else BytesIO(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.timeouts.connect),
            allow_redirects=False,
        )

    async def begin(self, endpoint: Endpoint, answer: aiohttp.ClientResponse, payload: Payload, guard: Guard) -> Begun:
        """The answer's first bytes: all of them, or a stream's first event."""
        begun = partial(guard.allow, endpoint.timeouts.idle)
        if answer.status != OK:
            text = await _read(answer, ERROR_LIMIT, begun)
            raise rejection(answer.status, text, answer.headers, endpoint.name, now=self._wall())
        if payload.stream and answer.content_type == EVENTS:
            return await self._first_events(endpoint, answer, EventStream(strip_usage=not payload.include_usage))
        whole = await _read(answer, BODY_LIMIT, begun)
        if len(whole) > BODY_LIMIT:
            raise UpstreamError(f"{endpoint.name} sent more than {BODY_LIMIT} bytes", endpoint=endpoint.name)
        return Begun(whole, None, self._report(endpoint, answer, whole))

    async def _first_events(self, endpoint: Endpoint, answer: aiohttp.ClientResponse, events: EventStream) -> Begun:
        """Reads up to the first whole event that is no comment. One that is an error becomes its real status."""
        first = b""
        while chunk := await answer.content.readany():
            first += events.feed(chunk)
            if events.error:  # nothing has gone on to the client yet
                raise rejection(code_of(events.error), events.error, answer.headers, endpoint.name, now=self._wall())
            if events.garbled:
                break
            if events.events:
                return Begun(first, events, events.report)
            if events.overflowing:
                break
        raise UpstreamError(f"{endpoint.name} sent no event that can be read", endpoint=endpoint.name)

    def _report(self, endpoint: Endpoint, answer: aiohttp.ClientResponse, whole: bytes) -> Report:
        try:
            report = read_report(whole)
            if not whole.isascii():
                whole.decode()  # raw slices are not looked into
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(f"{endpoint.name} answered with no JSON object", endpoint=endpoint.name) from error
        if report.failed:
            raise rejection(code_of(whole), whole, answer.headers, endpoint.name, now=self._wall())
        return report


class Opening:
    """The scope of one answer. A class, not a generator: this is the hottest `async with` of all."""

    __slots__ = ("_answer", "_endpoint", "_guard", "_payload", "_upstream", "_watch")

    def __init__(
        self, upstream: Upstream, endpoint: Endpoint, payload: Payload, guard: Guard, watch: Stopwatch
    ) -> None:
        self._upstream = upstream
        self._endpoint = endpoint
        self._payload = payload
        self._guard = guard
        self._watch = watch
        self._answer: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> Reply:
        await self._guard.timeout.__aenter__()
        try:
            CONNECTING.set((self._watch, self._guard.now))
            self._answer = await self._upstream.post(self._endpoint, self._payload)
            begun = await self._upstream.begin(self._endpoint, self._answer, self._payload, self._guard)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        self._watch.skip(self._guard.now())
        self._guard.allow(None)
        self._guard.begun = True
        return Reply(self._endpoint, self._answer, begun, self._guard)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection, and says in our words what aiohttp and the timer say in theirs."""
        if self._answer is not None:
            self._answer.release()  # whatever has not been read of it closes its connection
        name = self._endpoint.name
        late = "fell silent in the middle of its answer" if self._guard.begun else "did not answer in time"
        try:
            await self._guard.timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise UpstreamError(f"{name} {late}", endpoint=name) from error
        if isinstance(error, TimeoutError):
            raise UpstreamError(f"{name} {late}", endpoint=name) from error
        if isinstance(error, aiohttp.ClientError):
            reason = type(error).__name__
            raise UpstreamError(f"{name} could not be reached: {reason}", endpoint=name) from error


class TimedRequest(aiohttp.ClientRequest):
    """Ends the lap "connect" when there is a connection to write to."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        watch, now = CONNECTING.get()
        watch.lap("connect", now())
        return await super().send(conn)


async def _read(answer: aiohttp.ClientResponse, limit: int, begun: Callable[[], None]) -> bytes:
    """The body, or its beginning when it is longer than the limit. `begun` is called after each part."""
    parts, size = [], 0
    while size <= limit and (chunk := await answer.content.readany()):
        begun()
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)


def _rates(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith(RATES)}


def _passed_back(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """The headers that the client gets, in order."""
    named = answer.headers.get("connection", "")  # hop-by-hop, as this upstream says
    dropped = {each.strip().lower().encode("latin-1") for each in named.split(",")} if named else ()
    pairs = [(name.lower(), value) for name, value in answer.raw_headers]
    return [
        pair
        for pair in pairs
        if pair[0] not in NOT_PASSED_BACK
        and not pair[0].startswith(NOT_PASSED_BACK_PREFIXES)
        and pair[0] not in dropped
    ]
