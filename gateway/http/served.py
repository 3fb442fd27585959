"""One scope per request: read it, have it served, send the bytes, and undo everything when the client leaves."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self

from gateway.domain import ANYONE
from gateway.errors import GatewayError, InvalidRequestError, TooLargeError, UpstreamError, UpstreamToldError
from gateway.http import answers
from gateway.http.body import read
from gateway.http.caller import caller
from gateway.http.explained import explained_body, explained_events
from gateway.http.leaving import ClientGoneError, WhileThere

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from types import TracebackType

    from gateway.core.keyring import Keyring
    from gateway.domain import Key
    from gateway.http.answers import Headers
    from gateway.http.body import Call
    from gateway.http.surface import Surface
    from gateway.pipeline import Pipeline, Served

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OK: Final = 200
SANE_ID: Final = re.compile(rb"[A-Za-z0-9_.:\-]{1,128}")
PLAIN_NUMBER: Final = re.compile(rb"[0-9]{1,6}(\.[0-9]{1,6})?")

log = logging.getLogger(__name__)


class Exchange:
    """One request and its answer. The only writer of `send`; what it writes are whole events, or a whole body."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.started = False
        self.silent = True  # nothing has been written since the last look
        self._receive = receive
        self._send = send
        self.unique = secrets.token_hex(12)
        self._id = (b"x-request-id", request_id(self.headers.get(b"x-request-id", b""), self.unique))

    async def body(self, limit: int) -> bytes:
        """The request's body.

        Raises:
            TooLargeError: it is, or says so.
            ClientGoneError: the client left before its end.
        """
        told = self.headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > limit:
            raise TooLargeError(f"the body is larger than {limit} bytes")
        parts, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                raise TooLargeError(f"the body is larger than {limit} bytes")
        return b"".join(parts) if len(parts) > 1 else parts[0]

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": [self._id, *headers]})

    async def write(self, events: bytes) -> None:
        self.silent = False
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        self.silent = False
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.end(body)

    async def fail(self, error: GatewayError) -> None:
        """The error as an answer, or inside a stream that has begun: then no end marker follows."""
        if self.started:
            await self.end(b"" if isinstance(error, UpstreamToldError) else answers.error_event(error))
        else:
            await self.whole(answers.error_status(error), answers.error_headers(error), answers.error_body(error))

    async def ping(self, every_s: float) -> None:
        """Comments into a stream that is silent, for load balancers that cut what is. The first one begins it."""
        while True:
            if self.silent:
                if not self.started:
                    await self.start(OK, answers.EVENTS)
                await self.write(answers.PING)
            self.silent = True
            await asyncio.sleep(every_s)


class Pings:
    """The task that keeps a stream from being silent. It begins when one has gone on for that long, and ends with it.

    Most streams never are: starting a task for each would cost more than reading it.
    """

    __slots__ = ("_every_s", "_exchange", "_group", "_task", "_timer")

    def __init__(self, exchange: Exchange, every_s: float) -> None:
        self._exchange = exchange
        self._every_s = every_s
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as errors:
            raise the_one(errors) from None

    def _begin(self) -> None:
        self._task = self._group.create_task(self._exchange.ping(self._every_s))


class Inference:
    """The ASGI endpoint of one surface."""

    def __init__(
        self,
        pipeline: Callable[[], Pipeline],
        keyring: Callable[[], Keyring],
        surface: Surface,
        *,
        refused: Callable[[str, GatewayError], None],
        limit: int,
        ping_s: float,
        now: Callable[[], float],
    ) -> None:
        self._refused = refused
        self._pipeline = pipeline
        self._keyring = keyring
        self._surface = surface
        self._limit = limit
        self._ping_s = ping_s
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived_at = self._now()
        exchange, key = Exchange(scope, receive, send), ANYONE
        try:
            key = caller(self._keyring(), exchange.headers)  # before the body: a stranger's is not read
            call = read(await exchange.body(self._limit), exchange.headers, self._surface)
            with WhileThere(scope):  # with the work go its slot and its upstream
                if call.stream and self._ping_s:
                    async with Pings(exchange, self._ping_s):
                        await self._serve(exchange, call, key, arrived_at)
                else:
                    await self._serve(exchange, call, key, arrived_at)
        except ClientGoneError:
            return
        except GatewayError as error:
            self._refused(key.name, error)
            await exchange.fail(error)
        except Exception:
            log.exception("a request failed")
            await exchange.fail(GatewayError("the gateway failed; its log says why"))

    async def _serve(self, exchange: Exchange, call: Call, key: Key, arrived_at: float) -> None:
        pipeline = self._pipeline()  # the configuration of this moment serves it to its end
        with pipeline.presence:
            await self._serve_by(pipeline, exchange, call, key, arrived_at)

    async def _serve_by(self, pipeline: Pipeline, exchange: Exchange, call: Call, key: Key, arrived_at: float) -> None:
        if not self._surface.routes and call.model in pipeline.routes:
            raise InvalidRequestError(f"model: {call.model} is a route; name a model here", param="model")
        patience, turn = patience_s(exchange.headers), "" if key.name else sender(exchange.headers)
        asked = call.query(f"dec_{exchange.unique}", arrived_at, patience, key, turn)
        if asked.continues:
            await pipeline.callers.recall(asked)
        query = pipeline.admit(asked, key)
        async with pipeline.serve(query, call, key) as served:
            if served.reply.streamed:
                await _stream(exchange, served, self._surface)
                return
        if exchange.started:
            raise UpstreamError("the upstream did not stream", endpoint=served.decision.endpoint)
        if served.forgetful:
            await served.remember()
        headers, body = _whole(served)
        await exchange.whole(served.reply.status, headers, body)


def _whole(served: Served) -> tuple[Headers, bytes]:
    body, decision = served.reply.first, served.decision
    if decision.query.preferences.explain:
        body = explained_body(body, served)
    return [*served.reply.headers, *answers.decision_headers(decision)], body


async def _stream(exchange: Exchange, served: Served, surface: Surface) -> None:
    if not exchange.started:
        kept = [pair for pair in served.reply.headers if pair[0] not in answers.EVENT_NAMES]
        decided = answers.decision_headers(served.decision)
        await exchange.start(served.reply.status, [*answers.EVENTS, *kept, *decided])
    explain, over = served.decision.query.preferences.explain, False
    async for chunk in served.reply.chunks():
        if served.forgetful:
            await served.remember()
        told = explained_events(chunk, served, surface) if explain else chunk
        over = served.reply.over
        await (exchange.end(told) if over else exchange.write(told))
    if not over:
        await exchange.end()


def the_one(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a task group died of first."""
    first = errors.exceptions[0]
    return the_one(first) if isinstance(first, BaseExceptionGroup) else first


def sender(headers: Mapping[bytes, bytes]) -> str:
    """In whose turn a query waits: a name made of what it authorizes itself with, and never that itself."""
    told = headers.get(b"authorization", b"")
    return blake2b(told, digest_size=8).hexdigest() if told else ""


def request_id(sent: bytes, unique: str) -> bytes:
    """The client's own when it is sane, else ours."""
    return sent if SANE_ID.fullmatch(sent) else b"req_" + unique.encode()


def patience_s(headers: Mapping[bytes, bytes]) -> float:
    """How long the SDK waits for a byte, in seconds."""
    told = headers.get(b"x-stainless-read-timeout", b"")
    return float(told) if PLAIN_NUMBER.fullmatch(told) else inf
