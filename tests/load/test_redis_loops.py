"""Who called a tool, told through a real Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.load.redis_loops import AWAY_S, KEPT_S, RedisLoops

if TYPE_CHECKING:
    from tests.redis_server import RedisServer

ONE, TWO = ("auto", "", "call_1"), ("auto", "", "call_2")


class Clock:
    """Stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def loops(url: str, clock: Clock | None = None, budget_s: float = 2.0) -> RedisLoops:
    return RedisLoops(url, "test", budget_s, clock or Clock())


async def test_one_replica_knows_what_another_noted(redis_url: str) -> None:
    async with loops(redis_url) as first, loops(redis_url) as second:
        await first.note([ONE], "dear")
        assert await second.find([TWO, ONE]) == "dear"
        assert await second.find([TWO]) is None
        assert await second.find([("other", "", "call_1")]) is None
        await second.note([ONE], "größer/als")
        assert await first.find([ONE]) == "größer/als"


async def test_it_is_forgotten_in_time_and_says_nothing_of_a_session(shared_redis: RedisServer, redis_url: str) -> None:
    async with loops(redis_url) as store:
        await store.note([("auto", "a secret session", "call_1")], "dear")
    with shared_redis.client() as client:
        [key] = map(str, client.keys())
        assert key.startswith("{test}:loop:")
        assert "secret" not in key
        assert 0 < client.ttl(key) <= KEPT_S


async def test_without_redis_nothing_is_known_at_once(redis_server: RedisServer) -> None:
    clock = Clock()
    async with loops(redis_server.url, clock, 0.05) as store:
        await store.note([ONE], "dear")
        redis_server.kill()
        assert await store.find([ONE]) is None
        redis_server.start()
        assert await store.find([ONE]) is None  # it is left alone for a while
        clock.now = AWAY_S
        await store.note([ONE], "cheap")
        assert await store.find([ONE]) == "cheap"


async def test_a_redis_that_hangs_holds_nobody_up_for_long(redis_server: RedisServer) -> None:
    clock = asyncio.get_running_loop().time
    async with loops(redis_server.url, budget_s=0.05) as store:
        await store.note([ONE], "dear")
        redis_server.pause()
        started = clock()
        assert set(await asyncio.gather(*(store.find([ONE]) for _ in range(50)))) == {None}
        assert clock() - started < 2.0
        redis_server.resume()


@pytest.mark.parametrize("names", [[], [("auto", "", "\ud800")]])
async def test_odd_names_are_no_errors(redis_url: str, names: list[tuple[str, str, str]]) -> None:
    async with loops(redis_url) as store:
        await store.note(names, "dear")
        assert await store.find(names) == ("dear" if names else None)
