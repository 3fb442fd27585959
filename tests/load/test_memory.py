"""What is peculiar to the book in memory; what every book promises is in tests/contract/test_load.py."""

from __future__ import annotations

import asyncio

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.memory import MemoryLoadBook


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_lease_with_a_period_ends_by_itself() -> None:
    clock = Clock()
    book = MemoryLoadBook({"a": Capacity(1)}, clock, lease_s=15)
    assert await book.reserve([Claim("1", "a", 5)]) == [True]
    clock.now += 14.9
    assert await book.reserve([Claim("2", "a", 5)]) == [False]
    clock.now += 0.2
    assert await book.held() == {"a": 0}
    assert await book.reserve([Claim("3", "a", 5)]) == [True]
    await book.release("1")
    assert await book.held() == {"a": 1}


async def test_waiting_ends_when_a_lease_does() -> None:
    book = MemoryLoadBook({"a": Capacity(1)}, asyncio.get_running_loop().time, lease_s=0.02)
    await book.reserve([Claim("1", "a", 5)])
    async with asyncio.timeout(5):
        while not (await book.reserve([Claim("2", "a", 5)]))[0]:
            await book.freed()


async def test_an_endpoint_that_has_gone_keeps_its_leases_until_they_end() -> None:
    book = MemoryLoadBook({"a": Capacity(2), "b": Capacity(1)}, lambda: 0.0)
    await book.reserve([Claim("1", "a", 5), Claim("2", "b", 5)])
    book.reconfigure({"b": Capacity(3, requests_per_minute=9), "c": Capacity(1)})
    assert book.endpoints == ("b", "c")
    assert await book.held() == {"b": 1, "c": 0, "a": 1}
    assert (await book.headroom()).slots.tolist() == [2, 1]
    assert await book.reserve([Claim("3", "a", 5)]) == [False]
    book.reconfigure({"a": Capacity(2)})
    assert (await book.headroom()).slots.tolist() == [1]
    await book.release("1")
    await book.release("2")
    assert await book.held() == {"a": 0}


async def test_a_smaller_limit_leaves_nothing_rather_than_less() -> None:
    book = MemoryLoadBook({"a": Capacity(4)}, lambda: 0.0)
    await book.reserve([Claim(str(i), "a", 5) for i in range(4)])
    book.reconfigure({"a": Capacity(2)})
    assert (await book.headroom()).slots.tolist() == [0]
