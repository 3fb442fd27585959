"""What every store of sums promises: in memory, in a file, on a real Redis and a real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from math import exp
from typing import TYPE_CHECKING, TypeAlias

import pytest

from gateway.load.kept_sums import KeptSums
from gateway.load.redis_sums import RedisSums
from gateway.load.sums import MEMORY_QUERIES, MemorySums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from gateway.load.sums import SumsStore
    from tests.redis_server import RedisServer

    Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[SumsStore]]


@pytest.fixture(params=["memory", "file", "redis", "valkey"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    kind = request.param
    url = request.getfixturevalue(f"{kind}_url") if kind in {"redis", "valkey"} else None

    @asynccontextmanager
    async def opening() -> AsyncIterator[SumsStore]:
        if kind == "file":
            kept = KeptSums(tmp_path / "sums.json")
            async with kept.running():
                yield kept
        elif url is None:
            yield MemorySums()
        else:
            store = RedisSums(url, "test", 2.0)
            async with store.running():
                yield store

    return opening


async def test_nothing_was_ever_added(opened: Opened) -> None:
    async with opened() as store:
        assert await store.read("auto") == {}


async def test_fields_add_up_and_fade_by_the_queries_that_are_added(opened: Opened) -> None:
    async with opened() as store:
        await store.add("auto", {"n": 100.0, "quality": 70.0})
        await store.add("auto", {"n": 500.0, "cost": 0.125})
        await store.add("other", {"n": 1.0})
        fade = exp(-500.0 / MEMORY_QUERIES)
        expected = {"n": 100.0 * fade + 500.0, "quality": 70.0 * fade, "cost": 0.125}
        assert await store.read("auto") == pytest.approx(expected)
        assert await store.read("other") == {"n": 1.0}


async def test_a_delta_without_queries_fades_nothing(opened: Opened) -> None:
    async with opened() as store:
        await store.add("auto", {"n": 100.0})
        await store.add("auto", {"feedback_n": 1.0, "feedback": -0.25})
        assert await store.read("auto") == {"n": 100.0, "feedback_n": 1.0, "feedback": -0.25}


async def test_the_memory_is_bounded(opened: Opened) -> None:
    async with opened() as store:
        for _ in range(300):
            await store.add("auto", {"n": 100.0, "quality": 80.0})
        sums = await store.read("auto")
        assert sums["n"] == pytest.approx(MEMORY_QUERIES, rel=0.03)
        assert sums["quality"] / sums["n"] == pytest.approx(0.8)


async def test_replicas_add_to_the_same_sums(redis_url: str) -> None:
    stores = [RedisSums(redis_url, "test", 2.0) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for store in stores:
            await stack.enter_async_context(store.running())
        for _ in range(50):
            for store in stores:
                await store.add("auto", {"n": 1.0, "quality": 0.5})
            await asyncio.sleep(0)
    late = RedisSums(redis_url, "test", 2.0)
    async with late.running():
        sums = await late.read("auto")
    # Which deltas travelled together decides how much the earlier ones faded; never by more than all at once.
    assert 150 * exp(-150 / MEMORY_QUERIES) <= sums["n"] <= 150
    assert sums["quality"] == pytest.approx(sums["n"] / 2)


async def test_while_redis_is_away_the_view_goes_on_and_nothing_is_lost(redis_server: RedisServer) -> None:
    store, clock = RedisSums(redis_server.url, "test", 0.05), asyncio.get_running_loop().time
    async with store.running():
        await store.add("auto", {"n": 10.0})
        assert await store.read("auto") == {"n": 10.0}
        redis_server.kill()
        started = clock()
        await store.add("auto", {"m": 1.0})
        assert await store.read("auto") == {"n": 10.0, "m": 1.0}
        assert (await store.read("new")) == {}
        assert clock() - started < 0.3
        redis_server.start()
    other = RedisSums(redis_server.url, "test", 0.05)
    async with other.running():
        assert await other.read("auto") == {"m": 1.0}
