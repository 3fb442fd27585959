"""One replica alone is cut off from Redis, the others are not: how far the two views together exceed a capacity."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.redis import RedisLoadBook
from tests.faults.slow_proxy import SlowProxy

SLOTS, REPLICAS, LEASE_S = 8, 2, 1.5
SHARE = SLOTS // REPLICAS
HELD, OTHERS = 1, 5  # by the one that is cut off, and by the other one
FREE = SLOTS - HELD - OTHERS


def book(url: str) -> RedisLoadBook:
    clock = asyncio.get_running_loop().time
    return RedisLoadBook({"a": Capacity(SLOTS)}, url, clock, lease_s=LEASE_S, budget_s=2.0)


async def take_all(its: RedisLoadBook, name: str) -> int:
    """How many slots it can get."""
    return sum(await its.reserve([Claim(f"{name}/{number}", "a", 1) for number in range(2 * SLOTS)]))


async def until_free(its: RedisLoadBook, slots: int) -> None:
    """Returns once it sees so many free slots; leases and a moment pass by Redis's clock and the loop's."""
    async with asyncio.timeout(10 * LEASE_S):
        while True:
            seen = its.releases
            if (await its.headroom()).slots[0] >= slots:
                return
            await its.freed(seen)


async def test_how_much_too_much_a_replica_that_alone_is_cut_off_may_take(redis_url: str) -> None:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    proxy = SlowProxy(port)
    async with AsyncExitStack() as stack:
        through = await stack.enter_async_context(proxy.serving())
        lone = await stack.enter_async_context(book(f"redis://127.0.0.1:{through}/0"))
        other = await stack.enter_async_context(book(redis_url))
        assert sum(await lone.reserve([Claim(f"kept/{number}", "a", 1) for number in range(HELD)])) == HELD
        assert sum(await other.reserve([Claim(f"theirs/{number}", "a", 1) for number in range(OTHERS)])) == OTHERS
        await lone.headroom()
        assert (lone.replicas, (await lone.held())["a"]) == (REPLICAS, HELD + OTHERS)

        proxy.refuse = True  # in the first moment: its part of what was free
        at_once = await take_all(lone, "at once")
        assert not lone.shared
        theirs = OTHERS + await take_all(other, "while it is counted")
        assert theirs == SLOTS - HELD  # Redis still counts what the lone one holds
        assert HELD + at_once + theirs == SLOTS + FREE // REPLICAS

        await until_free(lone, SHARE - HELD - at_once)  # then its whole share
        alone = HELD + at_once + await take_all(lone, "alone")
        assert alone == SHARE
        await until_free(other, HELD)  # its leases have ended
        theirs += await take_all(other, "after that")
        assert alone + theirs == SLOTS + SHARE

        proxy.refuse = False  # everything is counted again, and nobody gets more
        async with asyncio.timeout(10):
            while not lone.shared:
                await lone.freed()
        assert (await other.held())["a"] == SLOTS + SHARE
        assert await take_all(lone, "too much") + await take_all(other, "too much, too") == 0
