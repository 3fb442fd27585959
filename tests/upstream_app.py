"""A scripted OpenAI-like server on a real socket: statuses, headers and chunks are exactly what a test wrote."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, cast

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Act(Enum):
    """What is not bytes."""

    CUT = auto()  # close the connection, in order
    RESET = auto()  # break it off
    STALL = auto()  # say nothing more, until the client leaves


CUT, RESET, STALL = Act.CUT, Act.RESET, Act.STALL
Step = bytes | asyncio.Event | Act
NO_LINGER: Final = struct.pack("ii", 1, 0)

DONE: Final = b"data: [DONE]\n\n"
USAGE: Final = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


@dataclass(eq=False)
class Asked:
    """One request as it came, and its connection's end."""

    path: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event  # the connection is over

    @property
    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


@dataclass
class Play:
    """One answer: steps in order. An event is waited for; bytes are written at once."""

    steps: Sequence[Step]


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode()


def framed(chunk: bytes) -> bytes:
    """As chunked encoding sends it."""
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


def whole(body: bytes | dict[str, Any], status: int = 200, **headers: str) -> Play:
    """An answer in one piece; `headers` with underscores for hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"content-type": "application/json", "content-length": str(len(content)), **named}
    return Play([head(status, fields) + content])


def stream(*steps: Step, **headers: str) -> Play:
    """A stream of events; each bytes step is one chunk on the wire. It ends unless its last step is an act."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **named}
    played: list[Step] = [head(200, fields)]
    played += [framed(step) if isinstance(step, bytes) else step for step in steps]
    if not steps or not isinstance(steps[-1], Act):
        played.append(b"0\r\n\r\n")
    return Play(played)


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(text: str = "", *, finish: str | None = None, **more: object) -> bytes:
    """One chunk of a chat completion."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "model": "up", "choices": [choice], **more})


def usage_event() -> bytes:
    return event({"id": "c1", "object": "chat.completion.chunk", "model": "up", "choices": [], "usage": USAGE})


def completion(text: str = "hello", **more: object) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c1", "object": "chat.completion", "model": "up", "choices": choices, "usage": USAGE, **more}


def plain_stream(*texts: str) -> Play:
    """Words, the reason for ending, usage, the end."""
    return stream(*map(delta, texts or ("hello", " you")), delta(finish="stop"), usage_event(), DONE)


def failed(status: int, message: str = "no", **headers: str) -> Play:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return whole({"error": error}, status, **headers)


@dataclass
class Upstream:
    """What it was asked, and what it answers next: plays in order, the last one for ever."""

    plays: deque[Play] = field(default_factory=lambda: deque([whole(completion())]))
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def then(self, *plays: Play) -> None:
        self.plays = deque(plays)

    async def reached(self, requests: int = 1) -> Asked:
        """The newest request, once there are so many."""
        while len(self.asked) < requests:
            self._came.clear()
            await self._came.wait()
        return self.asked[-1]

    def note(self, asked: Asked) -> Play:
        self.asked.append(asked)
        self._came.set()
        return self.plays.popleft() if len(self.plays) > 1 else self.plays[0]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serves until the block ends; gives what an endpoint's `url` is to be."""
        loop = asyncio.get_running_loop()
        open_now: set[Connection] = set()
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            server = await loop.create_server(lambda: Connection(self, group, open_now), "127.0.0.1", 0)
            try:
                yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            except BaseException as error:  # noqa: BLE001 - raised below: the group would wrap it
                failure = error
            server.close()
            for connection in tuple(open_now):
                connection.transport.abort()
        if failure is not None:
            raise failure


class Connection(asyncio.Protocol):
    """One client connection: requests are answered in turn."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream, group: asyncio.TaskGroup, open_now: set[Connection]) -> None:
        self._upstream = upstream
        self._group = group
        self._open_now = open_now
        self._gone = asyncio.Event()
        self._parser = httptools.HttpRequestParser(self)
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._open_now.add(self)
        self._upstream.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._open_now.discard(self)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._headers, self._body = url.decode(), {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        play = self._upstream.note(Asked(self._path, self._headers, self._body, self._gone))
        self._group.create_task(self._perform(play))

    async def _perform(self, play: Play) -> None:
        for step in play.steps:
            if self._gone.is_set():
                return
            if isinstance(step, bytes):
                self.transport.write(step)
                await asyncio.sleep(0)  # the next chunk is another packet
            elif isinstance(step, asyncio.Event):
                await self._whichever_first(step)
            elif step is STALL:
                await self._gone.wait()
            else:
                self._leave(step)

    async def _whichever_first(self, event: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(each.wait()) for each in (event, self._gone)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def _leave(self, act: Act) -> None:
        if act is CUT:
            self.transport.close()
            return
        plain: socket.socket = self.transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()
