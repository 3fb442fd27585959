"""A reservation frees its slot once, by whatever door its block is left."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.memory import MemoryLoadBook
from gateway.load.reservation import Reservation, reserve


def _book() -> MemoryLoadBook:
    return MemoryLoadBook({"a": Capacity(1, tokens_per_minute=100)}, lambda: 0.0)


async def _hold(book: MemoryLoadBook, lease_id: str) -> Reservation:
    (reservation,) = await reserve(book, [Claim(lease_id, "a", 40)])
    assert reservation is not None
    return reservation


async def test_what_does_not_fit_is_none() -> None:
    book = _book()
    first, second = await reserve(book, [Claim("1", "a", 1), Claim("2", "a", 1)])
    assert second is None
    assert first is not None
    async with first:
        assert await book.held() == {"a": 1}
    assert await book.held() == {"a": 0}


async def test_an_error_in_the_block_frees_the_slot() -> None:
    book = _book()
    with pytest.raises(RuntimeError):
        async with await _hold(book, "1"):
            raise RuntimeError
    assert await book.held() == {"a": 0}


async def test_a_cancelled_block_frees_the_slot() -> None:
    book = _book()
    entered = asyncio.Event()

    async def serve() -> None:
        async with await _hold(book, "1"):
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve())
        await entered.wait()
        assert await book.held() == {"a": 1}
        task.cancel()
    assert await book.held() == {"a": 0}


async def test_leaving_twice_frees_once() -> None:
    book = _book()
    reservation = await _hold(book, "1")
    async with reservation:
        pass
    again = await _hold(book, "1")
    async with reservation:
        pass
    assert await book.held() == {"a": 1}
    async with again:
        pass


async def test_settling_gives_back_what_was_not_used() -> None:
    book = _book()
    async with await _hold(book, "1") as reservation:
        reservation.settle(10)
    assert (await book.headroom()).tokens.tolist() == [90]
    async with await _hold(book, "2"):
        pass
    assert (await book.headroom()).tokens.tolist() == [50]
