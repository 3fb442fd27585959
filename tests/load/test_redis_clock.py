"""The shared book when the clock of Redis is put forward or back, written here as Redis would then find it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.core.allowance import Limit, Use
from gateway.domain import Capacity, Key
from gateway.load.base import Claim
from gateway.load.redis import RedisLoadBook
from gateway.load.redis_allowance import RedisAllowances

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis import Redis

    from tests.redis_server import RedisServer

HOUR_MS, SLICE_MS = 3_600_000, 5_000
LEASES, RATES, CLOCK, REPLICAS = (f"{{paretogate}}:{name}" for name in ("leases:a", "rates:a", "clock", "replicas"))
CAPACITY = {"a": Capacity(8)}


def _book(url: str, capacities: dict[str, Capacity] | None = None, *, lease_s: float = 15.0) -> RedisLoadBook:
    clock = asyncio.get_running_loop().time
    return RedisLoadBook(capacities or CAPACITY, url, clock, lease_s=lease_s, budget_s=2.0)


def _claims(name: str, count: int) -> list[Claim]:
    return [Claim(f"{name}/{i}", "a", 10) for i in range(count)]


def _now_ms(client: Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def _until(condition: Callable[[], Awaitable[bool]], within: float) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what Redis knows has no event for us
            await asyncio.sleep(0.01)


async def test_leases_that_a_forward_jump_ended_are_taken_by_nobody_else(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as one, _book(redis_server.url) as two:
        await one.reserve(_claims("one", 4))
        await two.reserve(_claims("two", 4))
        with redis_server.client() as client:
            client.delete(LEASES, REPLICAS)  # they would have been kept for less than an hour
            client.set(CLOCK, _now_ms(client) - HOUR_MS)

            async def written_again() -> bool:
                return client.zcard(LEASES) == 8 and one.shared and two.shared

            assert await one.reserve([Claim("more", "a", 10)]) == [False]
            await _until(written_again, within=4)  # sooner than the next turn of a replica with nothing to say
        assert await one.held() == await two.held() == {"a": 8}
        assert await two.reserve([Claim("more", "a", 10)]) == [False]
        assert (one.replicas, two.replicas) == (2, 2)


async def test_leases_of_the_dead_do_not_last_the_length_of_a_backward_jump(redis_server: RedisServer) -> None:
    async with _book(redis_server.url, lease_s=1.0) as book:
        with redis_server.client() as client:
            later = _now_ms(client) + HOUR_MS
            client.zadd(LEASES, {f"dead|10|{i}": later for i in range(8)})
            client.zadd(REPLICAS, {"dead": later})
            assert await book.held() == {"a": 8}
            client.set(CLOCK, later)

            async def granted() -> bool:
                return await book.reserve([Claim("1", "a", 10)]) == [True]

            assert await book.reserve([Claim("1", "a", 10)]) == [False]
            await _until(granted, within=10)
            assert client.zcard(REPLICAS) == 1
        assert await book.held() == {"a": 1}


async def test_a_small_step_of_the_clock_is_not_noticed(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as book:
        with redis_server.client() as client:
            for step_ms in (-2000, 2000):
                client.set(CLOCK, _now_ms(client) + step_ms)
                await book.held()
                assert book.shared


async def test_what_endpoints_took_after_a_backward_jump_counts_for_one_window(redis_server: RedisServer) -> None:
    rates = {"a": Capacity(8, requests_per_minute=10, tokens_per_minute=1000)}
    async with _book(redis_server.url, rates) as book:
        with redis_server.client() as client:
            later = (_now_ms(client) + HOUR_MS) // SLICE_MS
            client.hset(RATES, mapping={f"r{later}": 4, f"t{later}": 300, f"r{later - 1}": 5, f"t{later - 1}": 300})
            free = await book.headroom()
            assert (free.requests.tolist(), free.tokens.tolist()) == ([1], [400])
            assert await book.reserve(_claims("one", 2)) == [True, False]
            now = _now_ms(client) // SLICE_MS
            assert {int(field[1:]) for field in client.hkeys(RATES)} <= {now - 1, now}
            await book.release("one/0", used_tokens=0)
            assert (await book.headroom()).tokens.tolist() == [400]


async def test_what_a_key_took_after_a_backward_jump_counts_for_one_window(redis_server: RedisServer) -> None:
    key = Key("shop", requests_per_minute=10, tokens_per_minute=1000)
    rates = "{test}:key:shop:rates"
    its = RedisAllowances(
        redis_server.url, time.monotonic, lambda: 0.0, prefix="test", budget_s=2.0, replicas=lambda: 1
    )
    with redis_server.client() as client:
        later = (_now_ms(client) + HOUR_MS) // SLICE_MS
        client.hset(rates, mapping={f"r{later}": 4, f"t{later}": 300, f"r{later - 1}": 5, f"t{later - 1}": 300})
        async with its.running():
            first = await its.take(key, Use(1, 100))
            assert (first.left.requests, first.left.tokens, first.refused) == (0, 300, None)
            second = await its.take(key, Use(1, 100))
            assert second.refused is Limit.REQUESTS
            assert 0 < second.wait_s <= 65
        now = _now_ms(client) // SLICE_MS
        assert {int(field[1:]) for field in client.hkeys(rates)} <= {now - 1, now}


async def test_a_replica_with_nothing_to_say_hears_that_the_book_lost_what_it_knew(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as one, _book(redis_server.url) as two:
        await two.reserve(_claims("two", 8))
        await one.held()
        with redis_server.client() as client:
            client.flushall()

            async def written_again() -> bool:
                return client.zcard(LEASES) == 8

            assert await one.reserve([Claim("more", "a", 10)]) == [False]
            await _until(written_again, within=4)
            await _until(_answering(one), within=4)
        assert await one.reserve([Claim("more", "a", 10)]) == [False]


def _answering(book: RedisLoadBook) -> Callable[[], Awaitable[bool]]:
    async def shared() -> bool:
        return book.shared

    return shared
