"""What holding load costs, and what a Redis that stops answering costs.

    python -m tests.bench.load_book pair      reserve and release in memory
    python -m tests.bench.load_book batch     one reservation of a batch, on a real Redis
    python -m tests.bench.load_book paused    two replicas under load while Redis is stopped (SIGSTOP), then resumed

Each prints JSON. Times are of a shared machine: repeat, and look at ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import TYPE_CHECKING

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.memory import MemoryLoadBook
from gateway.load.redis import RedisLoadBook
from gateway.load.reservation import reserve
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL = Capacity(64, tokens_per_minute=10**9, requests_per_minute=10**6, kv_tokens=10**8)


def _ms(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


async def pair(rounds: int) -> dict[str, float]:
    """CPU microseconds of a reserve and a release."""
    result = {}
    for name, capacity in (("slots", Capacity(64)), ("all_rows", FULL)):
        book = MemoryLoadBook({f"e{i}": capacity for i in range(8)}, asyncio.get_running_loop().time)
        claims = [(Claim(str(i), "e3", 100),) for i in range(1000)]
        started = time.process_time()
        for i in range(rounds):
            claim = claims[i % 1000]
            await book.reserve(claim)
            await book.release(claim[0].lease_id)
        result[f"{name}_us"] = round(1e6 * (time.process_time() - started) / rounds, 2)
        started = time.process_time()
        for _ in range(rounds // 10):
            await book.headroom()
        result[f"{name}_headroom_us"] = round(1e7 * (time.process_time() - started) / rounds, 2)
    return result


async def batch(url: str, rounds: int) -> dict[str, float]:
    """Wall milliseconds of one call, over 8 endpoints, with slots alone and with all four rows limited."""
    result = {}
    clock = asyncio.get_running_loop().time
    for name, capacity in (("slots", Capacity(64)), ("all_rows", FULL)):
        capacities = {f"{name}{i}": capacity for i in range(8)}
        async with RedisLoadBook(capacities, url, clock) as book:
            for size in (1, 8, 64):
                took = []
                for number in range(rounds):
                    claims = [Claim(f"{size}/{number}/{i}", f"{name}{i % 8}", 100) for i in range(size)]
                    started = time.perf_counter()
                    held = await reserve(book, claims)
                    took.append(time.perf_counter() - started)
                    for reservation in held:
                        assert reservation is not None
                        async with reservation:
                            pass
                    await book.held()
                result[f"{name}_{size}_p50_ms"] = _ms(took, 0.5)
                result[f"{name}_{size}_p99_ms"] = _ms(took, 0.99)
    return result


async def paused(server: RedisServer, seconds: float) -> dict[str, float]:
    """Waits for a reservation, by when they began; a wait is a failure when it is refused, which none should be."""
    loop = asyncio.get_running_loop()
    waits: list[tuple[float, float]] = []
    refused, stop = 0, False

    async def client(book: RedisLoadBook, name: str) -> None:
        nonlocal refused
        number = 0
        while not stop:
            number += 1
            started = loop.time()
            (held,) = await reserve(book, [Claim(f"{name}/{number}", "a", 100)])
            waits.append((started, loop.time() - started))
            if held is None:
                refused += 1
                continue
            async with held:
                await asyncio.sleep(0.02)  # the answer that the slot is held for

    capacities = {"a": Capacity(64)}
    async with (
        RedisLoadBook(capacities, server.url, loop.time) as one,
        RedisLoadBook(capacities, server.url, loop.time) as two,
        asyncio.TaskGroup() as group,
    ):
        for i in range(32):
            group.create_task(client((one, two)[i % 2], str(i)))
        began = loop.time()
        await asyncio.sleep(2)
        server.pause()
        paused_at = loop.time()
        await asyncio.sleep(seconds)
        server.resume()
        resumed_at = loop.time()
        while not (one.shared and two.shared):
            await one.freed()
        shared_at = loop.time()
        await asyncio.sleep(1)
        stop = True

    def between(start: float, end: float) -> list[float]:
        return [wait for at, wait in waits if start <= at < end]

    return {
        "requests": len(waits),
        "refused": refused,
        "before_p99_ms": _ms(between(began, paused_at - 0.1), 0.99),
        "first_second_p99_ms": _ms(between(paused_at, paused_at + 1), 0.99),
        "first_second_most_ms": _ms(between(paused_at, paused_at + 1), 1.0),
        "later_p99_ms": _ms(between(paused_at + 1, resumed_at), 0.99),
        "after_resume_p99_ms": _ms(between(resumed_at, shared_at + 1), 0.99),
        "shared_again_s": round(shared_at - resumed_at, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pair", "batch", "paused"])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    if asked.what == "pair":
        print(json.dumps(asyncio.run(pair(200 * asked.rounds)), indent=2))
        return
    with RedisServer() as server:
        work = batch(server.url, asked.rounds) if asked.what == "batch" else paused(server, asked.seconds)
        print(json.dumps(asyncio.run(work), indent=2))


if __name__ == "__main__":
    main()
