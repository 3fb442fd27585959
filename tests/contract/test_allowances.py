"""What an allowance book promises, in memory, in Redis and in Valkey alike."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.core.allowance import Limit, Use
from gateway.core.problem import NANO
from gateway.domain import Budget, Key, Span
from gateway.load.allowance import AllowanceBook, MemoryAllowances
from gateway.load.redis_allowance import RedisAllowances

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CENT = NANO // 100
NOON = 1_790_000_000.0  # seconds since the epoch
KEY = Key("shop", requests_per_minute=50, tokens_per_minute=1_000, budget=Budget(1.0, Span.DAY))


@asynccontextmanager
async def books(url: str | None, count: int) -> AsyncIterator[list[AllowanceBook]]:
    """So many views of one book; in memory they are one."""
    if url is None:
        yield [MemoryAllowances(time.monotonic, lambda: NOON)] * count
        return
    its = [
        RedisAllowances(url, time.monotonic, lambda: NOON, prefix="test", budget_s=5.0, replicas=lambda: count)
        for _ in range(count)
    ]
    async with its[0].running():
        if count == 1:
            yield list(its)
            return
        async with its[1].running():
            yield list(its)


@pytest.fixture(params=["memory", "redis", "valkey"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[list[AllowanceBook]]:
    """Two replicas' views."""
    url = None if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")
    async with books(url, 2) as its:
        yield its


async def test_all_or_nothing_is_taken(pair: list[AllowanceBook]) -> None:
    one, other = pair
    taken = await one.take(KEY, Use(1, 900, 10 * CENT))
    assert (taken.refused, taken.left.requests, taken.left.tokens) == (None, 49, 100)
    assert taken.left.nano == 90 * CENT
    refused = await other.take(KEY, Use(1, 200, CENT))
    assert (refused.refused, refused.taken) == (Limit.TOKENS, None)
    assert 0 < refused.wait_s <= 65
    seen = (await other.take(KEY, Use())).left
    assert (seen.requests, seen.tokens, seen.nano) == (49, 100, 90 * CENT)


async def test_corrections_give_back_and_take_more(pair: list[AllowanceBook]) -> None:
    one, other = pair
    taken = (await one.take(KEY, Use(1, 500, 50 * CENT))).taken
    assert taken
    one.correct(taken, Use(1, 100, 70 * CENT))
    assert (await one.take(KEY, Use())).left.nano == 30 * CENT
    seen = (await other.take(KEY, Use())).left
    assert (seen.tokens, seen.nano) == (900, 30 * CENT)
    assert one.left(KEY).nano == 30 * CENT


async def test_a_crowd_never_takes_more_than_the_budget(pair: list[AllowanceBook]) -> None:
    async def spend(book: AllowanceBook) -> bool:
        return (await book.take(Key("shop", budget=KEY.budget), Use(nano=3 * CENT))).taken is not None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(spend(pair[n % 2])) for n in range(64)]
    assert sum(task.result() for task in tasks) == 33


async def test_requests_are_counted_over_both(pair: list[AllowanceBook]) -> None:
    verdicts = [await pair[n % 2].take(Key("few", requests_per_minute=5), Use(requests=1)) for n in range(7)]
    assert [each.refused for each in verdicts] == [None] * 5 + [Limit.REQUESTS] * 2


async def test_keys_do_not_share(pair: list[AllowanceBook]) -> None:
    await pair[0].take(KEY, Use(nano=100 * CENT))
    assert (await pair[0].take(KEY, Use())).refused is Limit.BUDGET
    assert (await pair[1].take(Key("other", budget=KEY.budget), Use(nano=CENT))).taken


async def test_spans_do_not_share(redis_url: str) -> None:
    days = iter([NOON] * 4 + [NOON + 86_400] * 100)
    book = RedisAllowances(
        redis_url, time.monotonic, lambda: next(days), prefix="test", budget_s=5.0, replicas=lambda: 1
    )
    async with book.running():
        assert (await book.take(KEY, Use(nano=100 * CENT))).taken
        while (await book.take(KEY, Use(nano=CENT))).refused:
            pass


async def test_whoever_is_cancelled_has_taken_nothing(redis_url: str) -> None:
    async with books(redis_url, 2) as (one, other):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.take(KEY, Use(1, 10, CENT))) for _ in range(20)]
            for rounds in range(20):
                await asyncio.sleep(0)
                tasks[rounds].cancel()
        kept = sum(not task.cancelled() for task in tasks)
        await one.take(KEY, Use())  # after whatever was given back
        left = (await one.take(KEY, Use())).left
        assert left.nano == (100 - kept) * CENT
        assert (await other.take(KEY, Use())).left.nano == left.nano
