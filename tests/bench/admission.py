"""Do several gateway processes on one Redis ever hold more than an endpoint can take?

    python -m tests.bench.admission --requests 100000

Each process has a crowd of clients and one task that reserves for those who wait, as the gateway's batcher does. A
counter in memory that all processes share, raised inside each reservation, is the judge. Prints the result as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.redis import BUDGET_S, RedisLoadBook
from gateway.load.reservation import Reservation, reserve
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

ENDPOINT = "only"
SERVICE_S = 0.001


@dataclass(frozen=True, slots=True)
class Result:
    processes: int
    clients: int
    capacity: int
    requests: int
    most_inside: int
    over_admissions: int  # reservations that were entered above the capacity
    left: int  # leases at the end
    seconds: float
    requests_per_second: float
    reserve_p50_ms: float
    reserve_p99_ms: float


class _Door:
    """Where clients of one process wait, in order, for a reservation."""

    def __init__(self, book: RedisLoadBook, capacity: int, name: str) -> None:
        self.took: list[float] = []
        self._book = book
        self._capacity = capacity
        self._name = name
        self._count = 0
        self._waiting: deque[asyncio.Future[Reservation]] = deque()
        self._somebody = asyncio.Event()

    async def enter(self) -> Reservation:
        waiter: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._somebody.set()
        return await waiter

    async def serve(self) -> None:
        while True:
            await self._somebody.wait()
            seen = self._book.releases
            claims = [self._claim() for _ in range(min(self._capacity, len(self._waiting)))]
            started = time.perf_counter()
            held = [reservation for reservation in await reserve(self._book, claims) if reservation is not None]
            self.took.append(time.perf_counter() - started)
            for reservation in held:
                self._waiting.popleft().set_result(reservation)
            if not self._waiting:
                self._somebody.clear()
            elif len(held) < len(claims):
                await self._book.freed(seen)

    def _claim(self) -> Claim:
        self._count += 1
        return Claim(f"{self._name}/{self._count}", ENDPOINT, 100)


@dataclass(frozen=True, slots=True)
class _Share:
    """What one process does. The counters are shared by all."""

    url: str
    name: str
    clients: int
    requests: int
    capacity: int
    budget_s: float
    inside: Synchronized[int]
    most: Synchronized[int]

    def step(self, by: int) -> bool:
        """Counts one who enters or leaves; whether there are too many now."""
        with self.inside.get_lock():
            self.inside.value += by
            self.most.value = max(self.most.value, self.inside.value)
            return self.inside.value > self.capacity


async def _crowd(share: _Share) -> tuple[int, list[float]]:
    """Reservations that were one too many, and how long each call of `reserve` took, in seconds."""
    over, left = 0, share.requests
    clock = asyncio.get_running_loop().time
    async with RedisLoadBook({ENDPOINT: Capacity(share.capacity)}, share.url, clock, budget_s=share.budget_s) as book:
        door = _Door(book, share.capacity, share.name)

        async def client() -> None:
            nonlocal left, over
            while left > 0:
                left -= 1
                async with await door.enter():
                    over += share.step(1)
                    await asyncio.sleep(SERVICE_S)
                    share.step(-1)

        async with asyncio.TaskGroup() as group:
            serving = group.create_task(door.serve())
            async with asyncio.TaskGroup() as crowd:
                for _ in range(share.clients):
                    crowd.create_task(client())
            serving.cancel()
        assert book.shared, "Redis was away at the end: this run proves nothing"
    return over, door.took


def _process(share: _Share, results: multiprocessing.SimpleQueue[tuple[int, list[float]] | None]) -> None:
    outcome = None
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(process)d %(message)s")
    try:
        outcome = asyncio.run(_crowd(share))
    finally:
        results.put(outcome)


def run(url: str, *, processes: int, clients: int, requests: int, capacity: int, budget_s: float) -> Result:
    """Clients and requests are in all, over the processes. `budget_s` is what the book allows an exchange."""
    context = multiprocessing.get_context("spawn")
    inside, most = context.Value("i", 0), context.Value("i", 0)
    results: multiprocessing.SimpleQueue[tuple[int, list[float]] | None] = context.SimpleQueue()
    shares = [
        _Share(url, str(i), clients // processes, requests // processes, capacity, budget_s, inside, most)
        for i in range(processes)
    ]
    started = time.perf_counter()
    workers = [context.Process(target=_process, args=(share, results)) for share in shares]
    for worker in workers:
        worker.start()
    outcomes = [results.get() for _ in workers]
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    if None in outcomes:
        raise RuntimeError("a process failed; what it said is above")
    took = sorted(value for outcome in outcomes if outcome for value in outcome[1])
    return Result(
        processes=processes,
        clients=clients,
        capacity=capacity,
        requests=requests,
        most_inside=most.value,
        over_admissions=sum(outcome[0] for outcome in outcomes if outcome),
        left=asyncio.run(_left(url)),
        seconds=round(seconds, 2),
        requests_per_second=round(requests / seconds, 1),
        reserve_p50_ms=round(1e3 * took[len(took) // 2], 3),
        reserve_p99_ms=round(1e3 * took[int(len(took) * 0.99)], 3),
    )


async def _left(url: str) -> int:
    async with RedisLoadBook({ENDPOINT: Capacity(1)}, url, asyncio.get_running_loop().time) as book:
        return (await book.held())[ENDPOINT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--capacity", type=int, default=8)
    parser.add_argument("--budget-s", type=float, default=BUDGET_S)
    asked = parser.parse_args()
    with RedisServer() as server:
        result = run(
            server.url,
            processes=asked.processes,
            clients=asked.clients,
            requests=asked.requests,
            capacity=asked.capacity,
            budget_s=asked.budget_s,
        )
    print(json.dumps(asdict(result), indent=2))


if __name__ == "__main__":
    main()
