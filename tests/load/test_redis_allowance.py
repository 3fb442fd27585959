"""Budgets while Redis is slow, away, or has lost its memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.core.allowance import Use
from gateway.core.problem import NANO
from gateway.domain import Budget, Key, Span
from gateway.load.redis_allowance import RedisAllowances

if TYPE_CHECKING:
    from tests.redis_server import RedisServer

CENT = NANO // 100
NOON = 1_790_000_000.0
KEY = Key("shop", budget=Budget(1.0, Span.DAY))


def book(server: RedisServer, replicas: int = 2) -> RedisAllowances:
    return RedisAllowances(
        server.url, time.monotonic, lambda: NOON, prefix="test", budget_s=0.5, replicas=lambda: replicas
    )


async def until_told(server: RedisServer, cents: int) -> None:
    """Returns when Redis knows that so much is spent; a real server comes back in its own time."""
    ends_at = time.monotonic() + 5
    with server.client() as client:
        while client.get("{test}:key:shop:spent:2026-09-21") != str(cents * CENT):
            assert time.monotonic() < ends_at
            await asyncio.sleep(0)


async def spend_all(its: RedisAllowances) -> int:
    """How many cents are granted before it is refused."""
    cents = 0
    while (await its.take(KEY, Use(nano=CENT))).taken:
        cents += 1
    return cents


async def test_while_redis_is_away_each_replica_has_its_share_of_what_was_left(redis_server: RedisServer) -> None:
    async with book(redis_server).running() as one, book(redis_server).running() as other:
        await one.take(KEY, Use(nano=40 * CENT))
        await other.take(KEY, Use())
        redis_server.pause()
        assert [await spend_all(one), await spend_all(other)] == [30, 30]
        redis_server.resume()
        await until_told(redis_server, 100)
        assert [await spend_all(one), await spend_all(other)] == [0, 0]


async def test_a_redis_that_lost_its_memory_is_told(redis_server: RedisServer) -> None:
    async with book(redis_server, replicas=1).running() as one:
        taken = (await one.take(KEY, Use(nano=40 * CENT))).taken
        assert taken
        redis_server.kill()
        redis_server.start()
        one.correct(taken, Use(nano=30 * CENT))
        await until_told(redis_server, 30)
        assert await spend_all(one) == 70


async def test_one_that_starts_without_redis_has_its_share(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with book(redis_server, replicas=4).running() as one:
        assert await spend_all(one) == 25
        redis_server.start()
        await until_told(redis_server, 25)


async def test_no_key_of_redis_holds_a_token(redis_server: RedisServer) -> None:
    secret = Key("shop", b"\x01" * 32, budget=KEY.budget)
    async with book(redis_server).running() as one:
        await one.take(secret, Use(nano=CENT))
        with redis_server.client() as client:
            names = [str(name).replace(one.replica, "REPLICA") for name in client.keys("*")]
            assert sorted(names) == ["{test}:key:shop:spent:2026-09-21", "{test}:key:turn:REPLICA"]
