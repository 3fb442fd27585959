"""How an answer leaves, its head with the first of its body in one write; and how a client does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.connection import Connection
from gateway.http.leaving import LEAVING, ClientGoneError, WhileThere
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.http.leaving import Door

ASKED = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\n"


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
    closed = wire.closed
    connection.connection_lost(None)
    wire.closed = closed  # by the answer: losing a connection closes it, too
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


async def test_a_streams_last_chunk_and_its_end_are_one_write() -> None:
    wire = await answered(start(), body(b"one", more=True), body(b"", more=True), body(b"two"))
    assert wire.written[1:] == [b"3\r\ntwo\r\n0\r\n\r\n"]
    assert not wire.closed


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


class Visit:
    """A connection whose requests are answered when the test says so, with a note of who left."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.left: list[int] = []
        self.doors: list[Door] = []
        self.answer = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.state = ServerState()
        config = uvicorn.Config(self.app, http=Connection, interface="asgi3", access_log=False, log_level="critical")
        self.connection = Connection(config, self.state, {}, asyncio.get_running_loop())
        self.connection.connection_made(self.wire)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        number = len(self.doors)
        self.doors.append(scope["extensions"][LEAVING])
        self.arrived.release()
        try:
            with WhileThere(scope):
                while (await receive())["more_body"]:
                    pass
                await self.answer.wait()
                await send(start((b"content-length", b"0")))
                await send(body(b""))
        except ClientGoneError:
            self.left.append(number)

    async def ask(self, asked: bytes = ASKED) -> None:
        self.connection.data_received(asked)
        await self.arrived.acquire()


async def test_whoever_leaves_takes_its_work_with_it() -> None:
    visit = Visit()
    await visit.ask()
    visit.connection.connection_lost(None)
    await asyncio.gather(*visit.state.tasks)
    assert visit.left == [0]
    assert not visit.wire.written


async def test_whoever_leaves_with_others_behind_it_is_the_one_that_is_answered() -> None:
    visit = Visit()
    await visit.ask(ASKED + ASKED)
    visit.connection.connection_lost(None)
    await asyncio.gather(*visit.state.tasks)
    assert visit.left == [0]


async def test_whoever_has_its_answer_does_not_leave() -> None:
    visit = Visit()
    await visit.ask()
    visit.answer.set()
    await asyncio.gather(*visit.state.tasks)
    visit.connection.connection_lost(None)
    assert visit.wire.written
    assert visit.left == []
    assert not visit.doors[0].watch(None)


async def test_whoever_has_left_is_not_begun_for() -> None:
    visit = Visit()
    visit.connection.data_received(ASKED)
    visit.connection.connection_lost(None)
    await asyncio.gather(*visit.state.tasks)
    assert visit.left == [0]


async def test_a_large_body_does_not_hide_that_its_client_leaves() -> None:
    visit = Visit()
    large = b"x" * (1 << 17)
    await visit.ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(large), large))
    assert visit.connection.flow.read_paused is False
    visit.connection.connection_lost(None)
    await asyncio.gather(*visit.state.tasks)
    assert visit.left == [0]


async def test_another_cancellation_is_not_a_leaving() -> None:
    visit = Visit()
    await visit.ask()
    [task] = visit.state.tasks
    task.cancel()
    await asyncio.wait([task])
    assert visit.left == []


async def test_what_was_answered_is_freed_without_looking_for_garbage() -> None:
    visit = Visit()
    visit.answer.set()
    gc.collect()
    gc.disable()
    try:
        await visit.ask()
        await asyncio.gather(*visit.state.tasks)
        answering = weakref.ref(visit.doors[0])
        visit.doors.clear()
        visit.answer = asyncio.Event()
        await visit.ask()
        assert answering() is None
    finally:
        gc.enable()
    visit.connection.connection_lost(None)
    await asyncio.gather(*visit.state.tasks)
