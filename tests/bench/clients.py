"""Clients that cost so little that many of them fit beside what they measure: kept connections, no library."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httptools

from tests.faults.seeing import QUESTION

if TYPE_CHECKING:
    import random
    import socket
    from collections.abc import AsyncIterator

ERROR, DONE = b'data: {"error"', b"data: [DONE]"


@dataclass(slots=True)
class Answer:
    """What came back. Times are seconds from the request's last byte."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    first_s: float = 0.0  # to the first byte of the body
    total_s: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether the application got its answer."""
        streamed = self.headers.get("content-type", "").startswith("text/event-stream")
        return self.status == 200 and (not streamed or DONE in self.body)

    @property
    def code(self) -> str:
        """What went wrong, or that nothing did."""
        if self.whole:
            return "answered"
        if self.status == 200:
            return "error in the stream" if ERROR in self.body else "just ended"
        return str(json.loads(self.body)["error"]["code"])


def request(model: str, *, stream: bool = False, key: str = "", text: str = QUESTION, **more: object) -> bytes:
    """A chat request as bytes. `more` goes into its body."""
    asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more}
    body = json.dumps(asked).encode()
    credentials = f"authorization: Bearer {key}\r\n" if key else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{credentials}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def look(path: str, key: str = "") -> bytes:
    credentials = f"authorization: Bearer {key}\r\n" if key else ""
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{credentials}\r\n".encode()


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[Answer] | None = None
        self.begun = asyncio.Event()  # some of the body is here

    async def ask(self, raw: bytes) -> Answer:
        """Raises ConnectionError when the connection ends first. Cancelled, it closes the connection."""
        if self._transport is None:
            raise ConnectionResetError("closed")
        self._answered = self._loop.create_future()
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self)
        self.begun.clear()
        self._transport.write(raw)
        self._started = perf_counter()
        try:
            return await self._answered
        except asyncio.CancelledError:
            self.close()
            raise

    @property
    def open(self) -> bool:
        return self._transport is not None

    @property
    def socket(self) -> socket.socket:
        assert self._transport is not None
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError(str(exc or "it ended")))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if not self.begun.is_set():
            self._answer.first_s = perf_counter() - self._started
            self.begun.set()
        self._answer.body += body

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._answer.total_s = perf_counter() - self._started
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(self._answer)


async def connect(url: str) -> Connection:
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, str(address.hostname), int(address.port or 80))
    return connection


class Callers:
    """Connections to one gateway, as many as are needed at once."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url
        self._key = key
        self._idle: list[Connection] = []

    async def ask(self, raw: bytes) -> Answer:
        """Raises ConnectionError."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                break
        else:
            connection = await connect(self._url)
        answer = await connection.ask(raw)
        self._idle.append(connection)
        return answer

    async def metrics(self) -> str:
        return (await self.ask(look("/metrics", self._key))).body.decode()

    async def json(self, path: str) -> Any:  # noqa: ANN401 - whatever is served there
        return json.loads((await self.ask(look(path, self._key))).body)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


async def arrivals(rate: float, seconds: float, rng: random.Random) -> AsyncIterator[float]:
    """Seconds since the start, whenever somebody comes: so many a second on average, at random moments."""
    loop = asyncio.get_running_loop()
    started = due = loop.time()
    while (due := due + rng.expovariate(rate)) < started + seconds:
        await asyncio.sleep(max(0.0, due - loop.time()))
        yield due - started


async def ended(connection: Connection, raw: bytes) -> None:
    """Asks and does not care how it ends."""
    with suppress(ConnectionError):
        await connection.ask(raw)
