"""One connection to an endpoint: aiohttp's pool keeps it, httptools reads what comes over it.

aiohttp's own reader makes a parser, a stream and a map of headers for every answer, and goes through a dozen Python
frames for every chunk. Beneath both is llhttp.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Failure = Callable[[], aiohttp.ClientError]  # made anew whenever it is raised: one that is kept keeps its frames

HELD_LIMIT: Final = 256 * 1024  # bytes of a body that wait to be read before no more are taken from the socket
BARREN_LIMIT: Final = 64 * 1024  # bytes in a row that are no body: a head, or what else an upstream may not end
INFORMATIONAL: Final = (100, 102, 103)  # heads that another follows: RFC 9110, 15.2, without 101


class Head(NamedTuple):
    """Of an answer."""

    status: int
    headers: list[tuple[bytes, bytes]]  # names in lower case

    def first(self, name: bytes) -> bytes:
        """The value of the first header of this name; empty where there is none."""
        return next((value for each, value in self.headers if each == name), b"")

    @property
    def tells_its_end(self) -> bool:
        """Else the body ends with the connection: RFC 9112, 6.3."""
        return any(
            name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked"))
            for name, value in self.headers
        )


class Protocol(ResponseHandler):
    """One answer after the other: `ask`, then `head`, then `part` until it gives nothing.

    What has come is given before it is said that no more will.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._parts: list[bytes] = []  # of a body, not read yet
        self.on_body = self._parts.append  # called for every chunk: without a frame of Python's
        self._lines: list[tuple[bytes, bytes]] = []  # of a head that is on its way
        self._head: Head | None = None
        self._owes = False  # an answer, or the rest of one
        self._failure: Failure | None = None
        self._barren = 0  # bytes that have come since the last of a body
        self._held = 0  # bytes that have come since the last were read
        self._stopped = False  # nothing is taken from the socket
        self._reader: asyncio.Future[None] | None = None  # who waits for more
        self._http = HttpResponseParser(self)
        # as most clients, and aiohttp's: some servers are homemade
        self._http.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)

    def ask(self, request: bytes) -> None:
        """Sends a request, all at once: what the socket does not take now, uvloop keeps without a copy.

        Raises:
            aiohttp.ServerDisconnectedError: the connection is lost.
        """
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        self._parts.clear()
        self._head = self._failure = None
        self._barren = self._held = 0
        self._owes = True
        self.transport.write(request)

    async def head(self) -> Head:
        """Of the answer to what was asked last.

        Raises:
            aiohttp.ClientError: none comes, or what comes is no HTTP.
        """
        while self._head is None:
            await self._more()
        return self._head

    async def part(self) -> bytes:
        """What has come of the body since the last part; empty at its end.

        Raises:
            aiohttp.ClientError: the rest will not come.
        """
        parts = self._parts
        while not parts:
            if not self._owes:
                return b""
            await self._more()
        part = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._held = 0
        if self._stopped and self.transport is not None and not self.transport.is_closing():
            self._stopped = False
            self.transport.resume_reading()
        return part

    @property
    def ended(self) -> bool:
        """Whether all of the answer has been read."""
        return not self._owes and not self._parts

    @property
    def should_close(self) -> bool:
        """What the pool asks: whether it cannot serve another request."""
        return self._should_close or self._owes

    def data_received(self, data: bytes) -> None:
        if not self._owes:
            self._break("it said more than it was asked")
            return
        before = len(self._parts)
        try:
            self._http.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._break(f"that is no HTTP answer: {error}")
        else:
            self._held += len(data)
            self._barren = 0 if len(self._parts) > before else self._barren + len(data)
            if self._owes and (self._barren > BARREN_LIMIT or self._held > HELD_LIMIT):
                self._too_much()
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._owes and self._head is not None and exc is None and not self._head.tells_its_end:
            self._owes = False
        elif self._owes and self._failure is None:
            self._failure = _lost(exc, begun=self._head is not None)
        del self._http  # it has our methods: a ring, and garbage is looked for seldom
        super().connection_lost(exc)
        self._wake()

    def on_message_begin(self) -> None:
        """For httptools. A second answer to one request is an error, and ends the parsing."""
        if not self._owes:
            raise aiohttp.ClientPayloadError
        self._lines = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """For httptools. What comes after the body are trailers, which nobody reads."""
        if self._head is None:
            self._lines.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """For httptools."""
        status = self._http.get_status_code()
        if status in INFORMATIONAL:
            return
        self._head = Head(status, self._lines)
        if not self._http.should_keep_alive():
            self._should_close = True

    def on_message_complete(self) -> None:
        """For httptools."""
        if self._head is not None:
            self._owes = False

    def _break(self, why: str) -> None:
        """Nothing more is heard of this connection. An answer that has come whole stays one."""
        self._should_close = True
        if self._owes and self._failure is None:
            self._failure = partial(aiohttp.ClientPayloadError, why)
        if self.transport is not None:
            self.transport.close()

    def _too_much(self) -> None:
        if self._barren > BARREN_LIMIT:
            self._break(f"it sent {BARREN_LIMIT} bytes around its answer")
        elif not self._stopped and self.transport is not None and not self.transport.is_closing():
            self._stopped = True
            self.transport.pause_reading()

    async def _more(self) -> None:
        if self._failure is not None:
            raise self._failure()
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _lost(error: BaseException | None, *, begun: bool) -> Failure:
    """What a lost connection is to whoever waits for an answer."""
    if begun:
        return partial(aiohttp.ClientPayloadError, "the connection was lost in the middle of the answer")
    if isinstance(error, OSError):
        return partial(aiohttp.ClientOSError, *error.args)
    return aiohttp.ServerDisconnectedError
