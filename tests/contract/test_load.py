"""What every load book promises: one suite, run against memory, a real Redis and a real Valkey."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

from gateway.domain import Capacity
from gateway.load.base import UNLIMITED, Claim, Foreign, Remaining
from gateway.load.memory import MemoryLoadBook
from gateway.load.redis import RedisLoadBook
from gateway.load.reservation import reserve
from tests.contract.crowd import Crowd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from gateway.load.base import LoadBook

    Opened: TypeAlias = Callable[[Mapping[str, Capacity]], AbstractAsyncContextManager[LoadBook]]


@pytest.fixture(params=["memory", "redis", "valkey"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Makes an empty book for some capacities."""
    url = None if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")

    @asynccontextmanager
    async def opening(capacities: Mapping[str, Capacity]) -> AsyncIterator[LoadBook]:
        clock = asyncio.get_running_loop().time
        if url is None:
            yield MemoryLoadBook(capacities, clock)
        else:
            async with RedisLoadBook(capacities, url, clock, budget_s=2.0) as book:
                assert book.shared
                yield book
                assert book.shared

    return opening


async def test_claims_are_granted_in_order_while_they_fit(opened: Opened) -> None:
    async with opened({"a": Capacity(2), "b": Capacity(1)}) as book:
        claims = [Claim(str(i), endpoint, 10) for i, endpoint in enumerate("abaab")]
        assert await book.reserve(claims) == [True, True, True, False, False]
        assert await book.held() == {"a": 2, "b": 1}
        assert await book.reserve([]) == []


async def test_a_released_lease_is_free_again_and_releasing_it_twice_changes_nothing(opened: Opened) -> None:
    async with opened({"a": Capacity(1)}) as book:
        assert await book.reserve([Claim("1", "a", 10)]) == [True]
        await book.release("1")
        assert await book.reserve([Claim("2", "a", 10), Claim("3", "a", 10)]) == [True, False]
        await book.release("1")
        await book.release("never held")
        assert await book.held() == {"a": 1}
        assert (await book.headroom()).slots.tolist() == [0]


async def test_an_endpoint_that_is_not_in_the_book_is_refused(opened: Opened) -> None:
    async with opened({"a": Capacity(1)}) as book:
        assert await book.reserve([Claim("1", "z", 10), Claim("2", "a", 10)]) == [False, True]


async def test_a_lease_id_is_held_once(opened: Opened) -> None:
    async with opened({"a": Capacity(4)}) as book:
        assert await book.reserve([Claim("1", "a", 10), Claim("1", "a", 10)]) == [True, False]
        assert await book.reserve([Claim("1", "a", 10)]) == [False]
        await book.release("1")
        assert await book.held() == {"a": 0}


async def test_headroom_is_what_is_left_of_each_row(opened: Opened) -> None:
    limited = Capacity(4, tokens_per_minute=1000, requests_per_minute=3, kv_tokens=500)
    async with opened({"a": limited, "b": Capacity(2)}) as book:
        assert book.endpoints == ("a", "b")
        await book.reserve([Claim("1", "a", 100), Claim("2", "b", 100)])
        free = await book.headroom()
        assert free.slots.tolist() == [3, 1]
        assert free.requests.tolist() == [2, UNLIMITED]
        assert free.tokens.tolist() == [900, UNLIMITED]
        assert free.kv.tolist() == [400, UNLIMITED]
        assert free.slots.dtype == "int64"


async def test_tokens_held_at_once_are_bounded_and_come_back_with_the_lease(opened: Opened) -> None:
    async with opened({"a": Capacity(9, kv_tokens=100)}) as book:
        assert await book.reserve([Claim("1", "a", 70), Claim("2", "a", 40), Claim("3", "a", 30)]) == [
            True,
            False,
            True,
        ]
        await book.release("1")
        assert await book.reserve([Claim("4", "a", 71), Claim("5", "a", 70)]) == [False, True]


async def test_requests_per_minute_stay_taken_after_the_release(opened: Opened) -> None:
    async with opened({"a": Capacity(9, requests_per_minute=2)}) as book:
        for i in range(2):
            assert await book.reserve([Claim(str(i), "a", 5)]) == [True]
            await book.release(str(i), used_tokens=5)
        assert await book.reserve([Claim("2", "a", 5)]) == [False]
        assert await book.held() == {"a": 0}


@pytest.mark.parametrize(("used", "left"), [(None, 40), (10, 90), (0, 100), (80, 20), (500, 0)])
async def test_tokens_per_minute_are_reserved_by_estimate_and_corrected_by_use(
    opened: Opened, used: int | None, left: int
) -> None:
    async with opened({"a": Capacity(9, tokens_per_minute=100)}) as book:
        await book.reserve([Claim("1", "a", 60)])
        assert await book.reserve([Claim("2", "a", 50)]) == [False]
        await book.release("1", used_tokens=used)
        await book.release("1", used_tokens=0)
        assert (await book.headroom()).tokens.tolist() == [left]


async def test_waiting_ends_with_the_next_release(opened: Opened) -> None:
    async with opened({"a": Capacity(1)}) as book, asyncio.timeout(5):
        await book.reserve([Claim("1", "a", 5)])
        assert await book.reserve([Claim("2", "a", 5)]) == [False]
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(book.freed()) for _ in range(3)]
            await asyncio.sleep(0)
            assert not any(wait.done() for wait in waiting)
            waiting.pop().cancel()
            await book.release("1")
        assert await book.reserve([Claim("2", "a", 5)]) == [True]


async def test_a_release_between_the_refusal_and_the_wait_is_not_missed(opened: Opened) -> None:
    async with opened({"a": Capacity(1)}) as book, asyncio.timeout(5):
        await book.reserve([Claim("1", "a", 5)])
        seen = book.releases
        assert await book.reserve([Claim("2", "a", 5)]) == [False]
        await book.release("1")
        await book.held()  # a round trip later
        await book.freed(seen)


async def test_every_waiter_is_served_in_the_end(opened: Opened) -> None:
    async with opened({"a": Capacity(2)}) as book, asyncio.timeout(20):
        inside, most = 0, 0

        async def query(name: str) -> None:
            nonlocal inside, most
            for attempt in range(1000):
                seen = book.releases
                (held,) = await reserve(book, [Claim(f"{name}/{attempt}", "a", 5)])
                if held is not None:
                    async with held:
                        inside += 1
                        most = max(most, inside)
                        await asyncio.sleep(0)
                        inside -= 1
                    return
                await book.freed(seen)
            raise AssertionError("starved")

        async with asyncio.TaskGroup() as group:
            for i in range(40):
                group.create_task(query(str(i)))
        assert most == 2
        assert await book.held() == {"a": 0}


async def test_a_cancelled_reserve_holds_nothing(opened: Opened) -> None:
    async with opened({"a": Capacity(8)}) as book:
        for steps in range(8):  # cancelled before it is sent, on its way, just as it is answered
            async with asyncio.TaskGroup() as group:
                task = group.create_task(reserve(book, [Claim(f"{steps}", "a", 5)]))
                for _ in range(steps):
                    await asyncio.sleep(0)
                unfinished = not task.done()
                task.cancel()
            if unfinished:
                await _settled(book, {"a": 0})
            else:
                await book.release(f"{steps}")


async def _settled(book: LoadBook, held: dict[str, int]) -> None:
    async with asyncio.timeout(5):
        while True:
            seen = book.releases
            if await book.held() == held:
                return
            await book.freed(seen)


async def test_a_release_that_is_cancelled_has_released(opened: Opened) -> None:
    async with opened({"a": Capacity(1)}) as book:
        await book.reserve([Claim("1", "a", 5)])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(book.release("1"))
            await asyncio.sleep(0)
            task.cancel()
        assert await book.held() == {"a": 0}


async def test_limits_change_and_leases_stay(opened: Opened) -> None:
    async with opened({"a": Capacity(2), "b": Capacity(2)}) as book:
        await book.reserve([Claim("1", "a", 5), Claim("2", "b", 5)])
        book.reconfigure({"c": Capacity(1), "b": Capacity(1)})
        assert book.endpoints == ("c", "b")
        assert (await book.headroom()).slots.tolist() == [1, 0]
        assert await book.reserve([Claim("3", "a", 5), Claim("4", "b", 5), Claim("5", "c", 5)]) == [False, False, True]
        assert await book.held() == {"c": 1, "b": 1, "a": 1}
        await book.release("1")
        await book.release("2")
        assert {name: held for name, held in (await book.held()).items() if held} == {"c": 1}


async def test_load_that_is_not_ours_narrows_what_is_offered_and_not_what_is_held(opened: Opened) -> None:
    async with opened({"a": Capacity(4, kv_tokens=100)}) as book:
        await book.reserve([Claim("1", "a", 10)])
        book.correct("a", Foreign(slots=2, kv=50))
        assert (await book.headroom()).slots.tolist() == [1]
        assert (await book.headroom()).kv.tolist() == [40]
        assert await book.held() == {"a": 1}
        assert await book.reserve([Claim("2", "a", 10), Claim("3", "a", 10)]) == [True, False]
        book.correct("a", Foreign())
        assert (await book.headroom()).slots.tolist() == [2]


async def test_what_an_endpoint_says_is_left_counts_down_with_each_lease(opened: Opened) -> None:
    async with opened({"a": Capacity(9)}) as book:
        book.correct("a", Remaining(requests=2, tokens=1000))
        assert await book.reserve([Claim(str(i), "a", 100) for i in range(3)]) == [True, True, False]
        free = await book.headroom()
        assert free.requests.tolist() == [0]
        assert free.tokens.tolist() == [800]


async def test_a_stale_report_is_ignored(opened: Opened) -> None:
    async with opened({"a": Capacity(4)}) as book:
        past = asyncio.get_running_loop().time() - 1
        book.correct("a", Foreign(slots=4, until=past))
        book.correct("a", Remaining(requests=0, tokens=15, requests_until=past))
        book.correct("not in the book", Foreign(slots=4))
        assert await book.reserve([Claim("1", "a", 10), Claim("2", "a", 10)]) == [True, False]


async def test_waiting_ends_when_a_report_is_stale(opened: Opened) -> None:
    async with opened({"a": Capacity(4)}) as book, asyncio.timeout(5):
        book.correct("a", Foreign(slots=4, until=asyncio.get_running_loop().time() + 0.05))
        while not (await book.reserve([Claim("1", "a", 10)]))[0]:
            await book.freed()


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_interleaving_nothing_is_held_and_never_was_too_much(opened: Opened, seed: int) -> None:
    limits = {"a": 3, "b": 1}
    rng = random.Random(seed)
    async with opened({name: Capacity(slots, kv_tokens=120) for name, slots in limits.items()}) as book:
        crowd = Crowd(book, limits, rng)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for name in range(100):
                query = group.create_task(crowd.query(name))
                if rng.random() < 0.5:
                    loop.call_later(rng.random() * 0.005, query.cancel)
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
        await _settled(book, {"a": 0, "b": 0})
        assert (await book.headroom()).slots.tolist() == [3, 1]
        assert (await book.headroom()).kv.tolist() == [120, 120]
