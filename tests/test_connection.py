"""How an answer leaves: its head with the first of its body, in one write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKED = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\n"


class Wire(asyncio.Transport):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def answered(*messages: dict[str, Any], asked: bytes = ASKED) -> Wire:
    """What goes over the wire for an application that sends these messages."""

    async def app(_: object, __: object, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        for message in messages:
            await send(message)

    state, wire = ServerState(), Wire()
    config = uvicorn.Config(app, http=Connection, access_log=False, log_level="critical")
    connection = Connection(config, state, {}, asyncio.get_running_loop())
    connection.connection_made(wire)
    connection.data_received(asked)
    await asyncio.gather(*state.tasks)
    connection.connection_lost(None)
    return wire


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(text: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


async def test_a_whole_answer_is_one_write() -> None:
    wire = await answered(start((b"content-length", b"2")), body(b"hi"))
    assert wire.written == [PLAIN + b"content-length: 2\r\n\r\nhi"]


async def test_a_stream_begins_with_its_head() -> None:
    wire = await answered(start(), body(b"one", more=True), body(b"two", more=True), body(b""))
    chunked = PLAIN + b"transfer-encoding: chunked\r\n\r\n"
    assert wire.written == [chunked + b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]


async def test_a_stream_of_one_chunk() -> None:
    wire = await answered(start(), body(b"one"))
    assert wire.written == [PLAIN + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"]


async def test_whoever_wants_no_more_answers_is_told_and_left() -> None:
    wire = await answered(start((b"content-length", b"0")), body(b""), asked=ASKED.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert wire.written == [PLAIN + b"content-length: 0\r\nconnection: close\r\n\r\n"]
    assert wire.closed


async def test_a_head_alone() -> None:
    wire = await answered(start((b"content-length", b"2")), body(b"hi"), asked=ASKED.replace(b"POST", b"HEAD"))
    assert wire.written == [PLAIN + b"content-length: 2\r\n\r\n"]


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\x00b"])
async def test_a_value_cannot_begin_another_header(value: bytes) -> None:
    wire = await answered(start((b"x", value), (b"content-length", b"2")), body(b"hi"))
    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
    assert value not in b"".join(wire.written)


@pytest.mark.parametrize(
    "messages",
    [
        (start((b"content-length", b"1")), body(b"hi")),
        (start((b"content-length", b"3")), body(b"hi")),
    ],
)
async def test_a_body_of_another_length_than_it_says_goes_no_further(messages: Sequence[dict[str, Any]]) -> None:
    wire = await answered(*messages)
    assert b"hi" not in b"".join(wire.written)
    assert wire.closed


@pytest.mark.parametrize("messages", [(body(b"hi"),), (start(), start()), ()])
async def test_an_answer_out_of_turn_is_an_error(messages: Sequence[dict[str, Any]]) -> None:
    wire = await answered(*messages)
    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
