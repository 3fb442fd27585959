"""A client's connection: uvicorn's, but its leaving is told at once, and an answer's head waits for the first body.

uvicorn hands the head to the socket as soon as it is told of it; that second call into the kernel costs more than
making the whole answer. ASGI asks servers to wait: no head before the first body event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.errors import TooLargeError
from gateway.http.answers import error_body
from gateway.http.leaving import LEAVING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendEvent, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

BODILESS: Final = (204, 304)
# what no header may have: RFC 9110, 5.5; line ends are counted
CONTROL: Final = bytes(byte for byte in (*range(0x20), 0x7F) if byte not in b"\t\n\r")


HEAD_LIMIT: Final = 64 * 1024  # bytes that have come of a head that has not ended: more than proxies let through
HEAD_TOO_LONG: Final = 431  # RFC 6585, 5
TOO_LONG: Final = error_body(TooLargeError(f"the head of the request is longer than {HEAD_LIMIT} bytes"))
REFUSAL: Final = b"%bcontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"


class Connection(HttpToolsProtocol):
    """What `uvicorn.Config(http=…)` takes. A head that does not end is not collected for ever."""

    _head_bytes: int | None = None  # that have come of a head; None: none is on its way
    _answering: Answering | None = None  # the request that is being answered; more may wait behind it

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answering is not None:
            self._answering.left()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self.transport.write(REFUSAL % (STATUS_LINE[HEAD_TOO_LONG], len(TOO_LONG), TOO_LONG))
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = Answering(cycle, app)
        super()._start_asgi_task(cycle, self._answering)


class Answering:
    """The application for one request, with a `send` that keeps the head back. Its client's door."""

    __slots__ = ("__weakref__", "_app", "_cycle", "_head", "_told")

    def __init__(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._app = app
        self._cycle = cycle
        self._head: bytes | None = None  # not sent yet
        self._told: Callable[[], None] | None = None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, _: object) -> None:
        extensions = cast("dict[str, object]", scope)["extensions"] = {LEAVING: self}
        try:
            await self._app(scope, receive, self.send)
        finally:
            extensions.clear()  # our cycle has the scope: a ring, and garbage is looked for seldom

    def watch(self, told: Callable[[], None] | None) -> bool:
        """As a door has it. A connection that is not read from does not end, and a large body may have paused that."""
        if told is not None and not self._cycle.disconnected:
            self._cycle.flow.resume_reading()
        self._told = told
        return self._cycle.disconnected

    def left(self) -> None:
        """The connection is lost. uvicorn tells the newest of several requests alone."""
        cycle = self._cycle
        if cycle.response_complete:
            return
        cycle.disconnected = True
        cycle.message_event.set()
        if self._told is not None:
            self._told()

    async def send(self, message: ASGISendEvent) -> None:
        """As ASGI has it.

        Raises:
            RuntimeError: the message is out of turn, or its headers cannot be sent.
        """
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected:
            if not self._goes_on(message):
                await cycle.send(message)
        elif message["type"] == "http.response.start":
            if self._head is not None:
                raise RuntimeError("an answer begins once")
            self._head = self._lines(message["status"], message.get("headers", ()))
        elif self._head is None or message["type"] != "http.response.body":
            raise RuntimeError(f"expected the beginning of an answer, not {message['type']}")
        else:
            if cycle.flow.write_paused:
                await cycle.flow.drain()
            self._begin(self._head, message.get("body", b""), more=message.get("more_body", False))

    def _goes_on(self, message: ASGISendEvent) -> bool:
        """Whether this was a stream's next chunk, which is most of what is sent. It has gone on then."""
        cycle = self._cycle
        if message["type"] != "http.response.body" or not cycle.chunked_encoding:
            return False
        if cycle.response_complete or cycle.disconnected or cycle.flow.write_paused:
            return False
        body, more = message.get("body", b""), message.get("more_body", False)
        if body or not more:
            cycle.transport.write(_chunked(body, more=more))
        if not more:
            self._finish()
        return True

    def _lines(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers. What they say of the body's length is noted in the cycle."""
        cycle = self._cycle
        pairs = [*cycle.default_headers, *headers]
        lines = [STATUS_LINE[status], *[b"%b: %b\r\n" % pair for pair in pairs]]
        named = dict(pairs)
        length = named.get(b"content-length")
        closes = named.get(b"connection", b"").lower() == b"close"
        chunked = length is None and cycle.scope["method"] != "HEAD" and status not in BODILESS
        if not cycle.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        head, ends = b"".join(lines), len(pairs) + 2 + chunked + (not cycle.keep_alive and not closes)
        # once over all of it: a line end inside a value would begin another header
        if len(head.translate(None, CONTROL)) < len(head) or head.count(b"\r") != ends or head.count(b"\n") != ends:
            raise RuntimeError("a header has a control character")
        cycle.keep_alive = cycle.keep_alive and not closes
        cycle.chunked_encoding, cycle.expected_content_length = chunked, int(length or 0)
        return head

    def _begin(self, head: bytes, body: bytes, *, more: bool) -> None:
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        if cycle.scope["method"] == "HEAD":
            body, cycle.expected_content_length = b"", 0
        elif cycle.chunked_encoding:
            body = _chunked(body, more=more)
        else:
            cycle.expected_content_length -= len(body)
            if cycle.expected_content_length < 0 or (cycle.expected_content_length and not more):
                raise RuntimeError("the body is not as long as its content-length says")
        cycle.transport.write(head + body)
        if not more:
            self._finish()

    def _finish(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def _chunked(body: bytes, *, more: bool) -> bytes:
    """RFC 9112, 7.1; an empty chunk would end the answer."""
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if more else chunk + b"0\r\n\r\n"
