"""The scrape, against a real server on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from gateway.domain import Capacity, Endpoint, Kind
from gateway.load.base import Claim
from gateway.load.memory import MemoryLoadBook
from gateway.load.truth import STALE_AFTER, Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Busy:
    """A server that reports a load, or keeps silent."""

    def __init__(self) -> None:
        self.page = b""
        self.status = b"200 OK"
        self.paths: list[bytes] = []
        self.asked = asyncio.Event()

    def running(self, running: int, waiting: int = 0) -> None:
        self.page = b"vllm:num_requests_running %d\nvllm:num_requests_waiting %d\n" % (running, waiting)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.paths.append(head.split(b" ")[1])
        self.asked.set()
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(self.page)
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n" + length + self.page)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def _truth(url: str, book: MemoryLoadBook, client: httpx.AsyncClient, clock: Clock, kind: Kind = Kind.VLLM) -> Truth:
    endpoint = Endpoint("a", "m", url, Capacity(8), kind)
    return Truth([endpoint], book, client, clock, lambda: 0.5, interval_s=1.0)


async def test_only_what_is_not_ours_narrows_the_room_and_only_while_it_is_fresh() -> None:
    clock, busy = Clock(), Busy()
    book = MemoryLoadBook({"a": Capacity(8)}, clock)
    async with busy.serving() as url, httpx.AsyncClient() as client:
        truth = _truth(url, book, client, clock)
        await book.reserve([Claim(str(i), "a", 1) for i in range(3)])
        busy.running(3, 2)
        assert truth.stale() == {"a"}
        await truth.look()
        assert busy.paths == [b"/metrics"]
        assert (await book.headroom()).slots.tolist() == [3]
        assert await book.held() == {"a": 3}
        assert truth.stale() == frozenset()
        busy.running(1)
        await truth.look()
        assert (await book.headroom()).slots.tolist() == [5]
        busy.running(7)
        await truth.look()
        assert (await book.headroom()).slots.tolist() == [1]
        clock.now += STALE_AFTER
        assert (await book.headroom()).slots.tolist() == [5]
        assert truth.stale() == {"a"}
        assert truth.report("a") is None


async def test_an_endpoint_that_cannot_be_read_is_not_believed() -> None:
    clock, busy = Clock(), Busy()
    book = MemoryLoadBook({"a": Capacity(8)}, clock)
    busy.running(7)
    async with httpx.AsyncClient() as client:
        async with busy.serving() as url:
            truth = _truth(url, book, client, clock)
            busy.status = b"503 Service Unavailable"
            await truth.look()
        await truth.look()
    assert (await book.headroom()).slots.tolist() == [8]
    assert truth.stale() == {"a"}


async def test_ollama_is_asked_what_it_has_loaded() -> None:
    clock, busy = Clock(), Busy()
    book = MemoryLoadBook({"a": Capacity(8)}, clock)
    busy.page = b'{"models":[{"name":"m:latest"}]}'
    async with busy.serving() as url, httpx.AsyncClient() as client:
        truth = _truth(url, book, client, clock, Kind.OLLAMA)
        await truth.look()
    assert busy.paths == [b"/api/ps"]
    report = truth.report("a")
    assert report is not None
    assert report.loaded is True


async def test_it_asks_again_and_again_until_it_is_left() -> None:
    busy = Busy()
    clock = asyncio.get_running_loop().time
    book = MemoryLoadBook({"a": Capacity(8)}, clock)
    async with busy.serving() as url, httpx.AsyncClient() as client, asyncio.timeout(5):
        endpoint = Endpoint("a", "m", url, Capacity(8), Kind.VLLM)
        async with Truth([endpoint], book, client, clock, lambda: 0.5, interval_s=0.01).running():
            for _ in range(3):
                await busy.asked.wait()
                busy.asked.clear()


async def test_rates_come_with_the_answers() -> None:
    clock = Clock()
    book = MemoryLoadBook({"a": Capacity(8)}, clock)
    async with httpx.AsyncClient() as client:
        truth = _truth("http://127.0.0.1:1/v1", book, client, clock, Kind.OPENAI)
        truth.heard("a", {"x-ratelimit-remaining-requests": "2", "x-ratelimit-reset-requests": "30s"})
        truth.heard("a", {"content-type": "application/json"})
    assert (await book.headroom()).requests.tolist() == [2]
    assert await book.reserve([Claim(str(i), "a", 1) for i in range(3)]) == [True, True, False]
    clock.now += 30
    assert await book.reserve([Claim("3", "a", 1)]) == [True]
