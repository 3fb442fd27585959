"""What an endpoint's connection gives of the bytes that come over it, beside what aiohttp's own reader gives."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.protocol import BARREN_LIMIT, HELD_LIMIT, Protocol
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TILL_END = b"HTTP/1.1 200 OK\r\n\r\nall that comes"


def asked() -> tuple[Protocol, Wire]:
    """A connection over which something has been asked."""
    protocol, wire = Protocol(asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    protocol.ask(b"POST / HTTP/1.1\r\n\r\n")
    return protocol, wire


async def body_of(protocol: Protocol) -> bytes:
    parts = []
    while part := await protocol.part():
        parts.append(part)
    return b"".join(parts)


async def test_a_request_is_one_write() -> None:
    _, wire = asked()
    assert wire.written == [b"POST / HTTP/1.1\r\n\r\n"]


async def test_one_answer_after_the_other() -> None:
    protocol, wire = asked()
    for text in (b"one", b"two"):
        protocol.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n" + text)
        assert (await protocol.head()).status == 200
        assert not protocol.ended
        assert await body_of(protocol) == text
        assert protocol.ended
        assert not protocol.should_close
        protocol.ask(b"next")
        assert protocol.should_close  # as long as it owes an answer
    assert not wire.closed


async def test_headers_as_they_are_written() -> None:
    protocol, _ = asked()
    protocol.data_received(b"HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Name: \tgr\xc3\xbc\xc3\x9fe \t\r\nx-name: second\r\n")
    protocol.data_received(b"content-length: 0\r\n\r\n")
    head = await protocol.head()
    assert head.headers == [
        (b"x-empty", b""),
        (b"x-name", "grüße".encode()),
        (b"x-name", b"second"),
        (b"content-length", b"0"),
    ]
    assert head.first(b"x-name") == "grüße".encode()
    assert head.first(b"x-other") == b""


async def test_a_head_comes_after_those_that_only_inform() -> None:
    protocol, _ = asked()
    protocol.data_received(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + PLAIN)
    head = await protocol.head()
    assert (head.status, head.first(b"link")) == (200, b"")
    assert await body_of(protocol) == b"hi"
    assert not protocol.should_close


async def test_trailers_are_no_headers() -> None:
    protocol, _ = asked()
    protocol.data_received(CHUNKED + b"2\r\nhi\r\n0\r\nx-late: 1\r\n\r\n")
    assert (await protocol.head()).first(b"x-late") == b""
    assert await body_of(protocol) == b"hi"
    assert not protocol.should_close


async def test_a_body_may_end_with_its_connection() -> None:
    protocol, _ = asked()
    protocol.data_received(TILL_END)
    assert await protocol.part() == b"all that comes"
    assert not protocol.ended
    protocol.connection_lost(None)
    assert await protocol.part() == b""
    assert protocol.should_close


async def test_who_waits_is_told() -> None:
    protocol, _ = asked()
    async with asyncio.TaskGroup() as group:
        head, part = group.create_task(protocol.head()), None
        await asyncio.sleep(0)
        protocol.data_received(CHUNKED)
        assert (await head).status == 200
        part = group.create_task(protocol.part())
        await asyncio.sleep(0)
        protocol.data_received(b"2\r\nhi\r\n")
        assert await part == b"hi"


@pytest.mark.parametrize(
    ("come", "error", "raised"),
    [
        (b"", None, aiohttp.ServerDisconnectedError),
        (b"HTTP/1.1 200", None, aiohttp.ServerDisconnectedError),
        (b"", ConnectionResetError(104, "reset"), aiohttp.ClientOSError),
        (PLAIN[:-1], None, aiohttp.ClientPayloadError),
        (CHUNKED + b"2\r\nhi\r\n", None, aiohttp.ClientPayloadError),
        (TILL_END, ConnectionResetError(104, "reset"), aiohttp.ClientPayloadError),
    ],
)
async def test_a_lost_connection(come: bytes, error: OSError | None, raised: type[Exception]) -> None:
    protocol, _ = asked()
    if come:
        protocol.data_received(come)
    protocol.connection_lost(error)
    with pytest.raises(raised):
        await said_by(protocol)
    assert protocol.should_close


async def test_what_had_come_before_is_given_first() -> None:
    protocol, _ = asked()
    protocol.data_received(CHUNKED + b"2\r\nhi\r\n")
    protocol.connection_lost(None)
    assert await protocol.part() == b"hi"
    with pytest.raises(aiohttp.ClientPayloadError):
        await protocol.part()


@pytest.mark.parametrize(
    "come",
    [
        b"no HTTP at all\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * BARREN_LIMIT,
        CHUNKED + b"2\r\nhi\r\n0\r\nx: " + b"y" * 2 * BARREN_LIMIT,
    ],
)
async def test_what_is_no_answer_closes_the_connection(come: bytes) -> None:
    protocol, wire = asked()
    for start in range(0, len(come), 10_000):
        if not wire.closed:
            protocol.data_received(come[start : start + 10_000])
    with pytest.raises(aiohttp.ClientPayloadError):
        await said_by(protocol)
    assert wire.closed
    assert protocol.should_close


@pytest.mark.parametrize("more", [PLAIN, b"HTTP/1.1 200 OK\r\n", b"garbage"])
async def test_what_comes_behind_an_answer_is_not_heard(more: bytes) -> None:
    protocol, wire = asked()
    protocol.data_received(PLAIN + more)
    assert await body_of(protocol) == b"hi"
    assert wire.closed
    assert protocol.should_close


async def test_other_protocols_are_not_spoken() -> None:
    protocol, wire = asked()
    protocol.data_received(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nspoken")
    assert await said_by(protocol) == (101, b"")
    assert wire.closed
    assert protocol.should_close


async def test_nothing_is_said_unasked() -> None:
    protocol, wire = asked()
    protocol.data_received(PLAIN)
    assert not protocol.should_close
    protocol.data_received(PLAIN)
    assert protocol.should_close
    assert wire.closed


async def test_no_more_is_taken_than_is_read() -> None:
    protocol, wire = asked()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (3 * HELD_LIMIT)
    protocol.data_received(head + b"x" * (HELD_LIMIT - len(head)))
    assert not wire.paused
    protocol.data_received(b"x")
    assert wire.paused
    assert len(await protocol.part()) == HELD_LIMIT - len(head) + 1
    assert not wire.paused
    protocol.data_received(b"x")
    assert not wire.paused


async def test_what_was_too_early_for_its_reader_is_read_when_the_connection_closes() -> None:
    protocol, wire = asked()
    protocol.data_received(CHUNKED + b"%x\r\n" % HELD_LIMIT + b"x" * HELD_LIMIT + b"\r\n")
    assert wire.paused
    wire.close()
    assert len(await protocol.part()) == HELD_LIMIT
    assert wire.paused  # a closing transport is left alone


async def test_a_lost_connection_takes_no_request() -> None:
    protocol, _ = asked()
    protocol.data_received(PLAIN)
    protocol.connection_lost(None)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        protocol.ask(b"next")


async def said_by(protocol: Protocol) -> tuple[int, bytes]:
    return (await protocol.head()).status, await body_of(protocol)


Answer = tuple[int, list[tuple[bytes, bytes]], bytes] | str


async def ours(pieces: Iterable[bytes]) -> Answer:
    protocol, wire = asked()
    for piece in pieces:
        if not wire.closed:
            protocol.data_received(piece)
    protocol.connection_lost(None)
    try:
        head = await protocol.head()
        return head.status, head.headers, await body_of(protocol)
    except aiohttp.ClientError:
        return "broken"


async def theirs(pieces: Iterable[bytes]) -> Answer:
    protocol, wire = ResponseHandler(asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    protocol.set_response_params(read_until_eof=True)
    for piece in pieces:
        if not wire.closed:
            protocol.data_received(piece)
    protocol.connection_lost(None)
    try:
        message, content = await protocol.read()
        return message.code, [(name.lower(), value) for name, value in message.raw_headers], await content.read()
    except (aiohttp.ClientError, aiohttp.http.HttpProcessingError):
        return "broken"


def cut(text: bytes, at: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    return [text[start:end] for start, end in pairwise(edges)]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer as a server may send it, or the first part of one."""
    status = draw(st.sampled_from([200, 200, 201, 204, 400, 429, 500]))
    eol = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    parts = draw(st.lists(st.binary(max_size=40), max_size=4)) if status != 204 else []
    body = b"".join(parts)
    lines = [b"HTTP/1.%d %d some words" % (draw(st.integers(0, 1)), status)]
    names = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,9}", fullmatch=True).map(lambda name: b"x-" + name)
    lines += [name + b": " + value for name, value in draw(st.lists(st.tuples(names, st.just(b"a b\xff")), max_size=3))]
    framing = draw(st.sampled_from(["length", "chunked", "till end"]))
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked" and status != 204:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
    whole = eol.join([*lines, b"", b""]) + body
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@settings(max_examples=300)
@given(answers(), st.lists(st.integers(0, 10**6), max_size=6))
def test_it_reads_what_aiohttp_reads(text: bytes, at: list[int]) -> None:
    pieces = cut(text, at)
    assert asyncio.run(ours(pieces)) == asyncio.run(theirs(pieces))
