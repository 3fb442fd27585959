"""The session with all endpoints: sends a query, and finds out whether what comes back is an answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, Self

import aiohttp
import msgspec

from gateway.core.events import EventStream
from gateway.core.rejections import code_of, rejection
from gateway.core.reports import Report, read_report
from gateway.errors import UpstreamError
from gateway.upstream.guard import Guard
from gateway.upstream.reply import Begun, Reply
from gateway.upstream.wire import Address, Answer, Connector, post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from types import TracebackType

    from pydantic import SecretStr

    from gateway.core.decision import Stopwatch
    from gateway.domain import Endpoint

BODY_LIMIT: Final = 64 * 1024 * 1024  # bytes of one answer that is not streamed
ERROR_LIMIT: Final = 64 * 1024  # bytes of an error that are read
EVENTS: Final = "text/event-stream"
OK: Final = 200


class Payload(Protocol):
    """What is sent on of a request."""

    @property
    def path(self) -> str:
        """After the endpoint's URL."""

    @property
    def headers(self) -> MutableMapping[str, str]: ...

    @property
    def stream(self) -> bool: ...

    @property
    def include_usage(self) -> bool:
        """Whether the client asked for usage in its stream."""

    def body(self, serves: str) -> bytes:
        """For an upstream that knows the model by this name."""


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
        self._connector: aiohttp.BaseConnector | None = None
        self._addresses: dict[tuple[str, str], Address] = {}

    async def __aenter__(self) -> Self:
        self._connector = Connector()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._connector is not None:
            await self._connector.close()

    def open(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch) -> Opening:
        """Sends a query and waits for the first bytes of its answer; leaving the scope closes the connection.

        The watch is told what connecting took; the wait for the answer is not ours.

        Raises:
            UpstreamError: and what stands under it in the error tree; on entering, nothing has been answered then.
        """
        return Opening(self, endpoint, payload, watch, self._now)

    async def post(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch, guard: Guard) -> Answer:
        """The head of the endpoint's answer to this, under our key for it."""
        if self._connector is None:
            raise RuntimeError("the upstream session is entered with `async with`")
        place = endpoint.name, payload.path
        address = self._addresses.get(place)
        if address is None:
            address = self._addresses[place] = Address(endpoint, payload.path, self._keys.get(endpoint.name))
        body = payload.body(endpoint.serves)
        return await post(self._connector, address, payload.headers, body, watch=watch, guard=guard)

    async def begin(self, endpoint: Endpoint, answer: Answer, payload: Payload, guard: Guard) -> Begun:
        """The answer's first bytes: all of them, or a stream's first event."""
        begun = partial(guard.allow, endpoint.timeouts.idle)
        if answer.status != OK:
            text = answer.secrets.without(await _read(answer, ERROR_LIMIT, begun))
            raise rejection(answer.status, text, answer.headers, endpoint.name, now=self._wall())
        if payload.stream and answer.content_type == EVENTS:
            return await self._first_events(endpoint, answer, EventStream(strip_usage=not payload.include_usage))
        whole = await _read(answer, BODY_LIMIT, begun)
        if len(whole) > BODY_LIMIT:
            raise UpstreamError(f"{endpoint.name} sent more than {BODY_LIMIT} bytes", endpoint=endpoint.name)
        return Begun(whole, None, self._report(endpoint, answer, whole))

    async def _first_events(self, endpoint: Endpoint, answer: Answer, events: EventStream) -> Begun:
        """Reads up to the first whole event that is no comment. One that is an error becomes its real status."""
        first = b""
        while chunk := await answer.body.part():
            first += events.feed(chunk)
            if events.error:  # nothing has gone on to the client yet
                told = answer.secrets.without(events.error)
                raise rejection(code_of(told), told, answer.headers, endpoint.name, now=self._wall())
            if events.garbled:
                break
            if events.events:
                return Begun(first, events, events.report)
            if events.overflowing:
                break
        raise UpstreamError(f"{endpoint.name} sent no event that can be read", endpoint=endpoint.name)

    def _report(self, endpoint: Endpoint, answer: Answer, whole: bytes) -> Report:
        try:
            report = read_report(whole)
            if not whole.isascii():
                whole.decode()  # raw slices are not looked into
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(f"{endpoint.name} answered with no JSON object", endpoint=endpoint.name) from error
        if report.failed:
            told = answer.secrets.without(whole)
            raise rejection(code_of(told), told, answer.headers, endpoint.name, now=self._wall())
        return report


class Opening:
    """The scope of one answer. A class, not a generator: this is the hottest `async with` of all."""

    __slots__ = ("_answer", "_endpoint", "_guard", "_now", "_payload", "_upstream", "_watch")

    def __init__(
        self, upstream: Upstream, endpoint: Endpoint, payload: Payload, watch: Stopwatch, now: Callable[[], float]
    ) -> None:
        self._upstream = upstream
        self._endpoint = endpoint
        self._payload = payload
        self._watch = watch
        self._now = now
        self._guard: Guard | None = None
        self._answer: Answer | None = None

    async def __aenter__(self) -> Reply:
        guard = self._guard = Guard(self._endpoint.timeouts, self._now, stream=self._payload.stream)
        try:
            self._answer = await self._upstream.post(self._endpoint, self._payload, self._watch, guard)
            begun = await self._upstream.begin(self._endpoint, self._answer, self._payload, guard)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        first_at = self._now()
        self._watch.skip(first_at)
        guard.allow(None)
        guard.begun = True
        return Reply(self._endpoint, self._answer, begun, guard, first_at)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection, and says in our words what aiohttp and the timer say in theirs."""
        if self._answer is not None:
            self._answer.release()  # whatever has not been read of it closes its connection
        name, guard = self._endpoint.name, self._guard
        if guard is not None and (guard.stop(kind) or isinstance(error, TimeoutError)):
            late = "fell silent in the middle of its answer" if guard.begun else "did not answer in time"
            raise UpstreamError(f"{name} {late}", endpoint=name) from error
        if isinstance(error, aiohttp.ClientError):
            reason = type(error).__name__
            raise UpstreamError(f"{name} could not be reached: {reason}", endpoint=name) from error


async def _read(answer: Answer, limit: int, begun: Callable[[], None]) -> bytes:
    """The body, or its beginning when it is longer than the limit. `begun` is called after each part."""
    parts, size = [], 0
    while size <= limit and not answer.body.ended:
        chunk = await answer.body.part()
        begun()
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)
