"""Clocks that jump by an hour: that of Redis, which leases and rates go by, and a gateway's own."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.bench.clients import Callers
from tests.faults import process_rows, redis_rows
from tests.faults.clock import HOUR_S, Clock
from tests.faults.record import Found, Record
from tests.faults.seeing import application
from tests.faults.stage import PATIENCE_S, PATIENT, STEADY, Stage, fleet, gateway, replaying, until
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LONG, NARROW = "long", "narrow"  # one slot whose answer outlasts the jump; four slots
SLOTS = {LONG: 1, NARROW: 4}
OFFSET_S = {redis_rows.FORWARD: HOUR_S, redis_rows.BACK: -HOUR_S}
CLIENTS = 6  # of each gateway
AROUND_S = 0.5  # of queries before the jump, and after it

pytestmark = pytest.mark.faults


@asynccontextmanager
async def staged(
    folder: Path, redis: Clock | None = None, ours: Clock | None = None
) -> AsyncIterator[tuple[Stage, Stage, RedisServer]]:
    """Two gateways on one Redis, before an upstream that refuses whatever is beyond its slots."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(env=redis.env if redis else None))
        slots = ",".join(f"{name}={count}" for name, count in SLOTS.items())
        upstream = stack.enter_context(replaying(folder, list(SLOTS), "--slots", slots))
        tree = fleet(upstream, list(SLOTS), load={"redis": server.url, "lease_s": 5}, queue={"max_wait_s": 30})
        for each in tree["endpoints"]:
            slots_of = SLOTS.get(each["model"], 64)
            each |= {"timeout": PATIENT, "capacity": {"concurrency": slots_of, "requests_per_minute": 100_000}}
        first, second = (
            stack.enter_context(gateway(folder, tree, upstream, env=ours.env if ours else None)) for _ in range(2)
        )
        await first.order(f"{LONG}=drip")
        for stage in (first, second):
            await until(partial(shared, stage), within=PATIENCE_S)
        yield first, second, server
        assert [await stage.idle() for stage in (first, second)] == [0, 0]
        for stage in (first, second):
            stage.faultless()
        counts = (await Callers(upstream).json("/replay/stats"))["models"]
        assert {name: counts[name]["rejected"] for name in SLOTS} == dict.fromkeys(SLOTS, 0)


async def shared(stage: Stage) -> bool:
    return "paretogate_load_shared 1.0" in await stage.metrics()


async def asking(stage: Stage, model: str, done: asyncio.Event, seen: set[str]) -> None:
    """Queries one after another until it is over."""
    async with application(stage.url) as app:
        while not done.is_set():
            seen.add(await app.sees(model, stream=False, by=model))


async def well_again(stages: tuple[Stage, ...], server: RedisServer, epoch: bytes | str | None) -> float:
    """Seconds until everybody shares a book that is another one than before."""
    started = time.perf_counter()
    with server.client() as client:

        async def everybody() -> bool:
            return client.get("{paretogate}:epoch") not in {epoch, None} and all(
                [await shared(each) for each in stages]
            )

        await until(everybody, within=PATIENCE_S)
    return time.perf_counter() - started


@pytest.mark.parametrize("row", redis_rows.JUMPS, ids=lambda row: f"{row.fault} {row.phase}")
async def test_a_redis_that(row: redis_rows.Row, tmp_path: Path, record: Record) -> None:
    clock, seen, done = Clock(tmp_path), set[str](), asyncio.Event()
    async with staged(tmp_path, redis=clock) as (first, second, server), application(first.url) as app:
        async with asyncio.TaskGroup() as group:
            if row.phase == redis_rows.STREAM:
                stream = group.create_task(app.sees(LONG, stream=True, by=LONG))
                await until(lambda: holds(second, LONG), within=PATIENCE_S)
                group.create_task(asking(second, LONG, done, seen))  # for the slot that the stream has
            for stage in (first, second) * CLIENTS:
                group.create_task(asking(stage, NARROW, done, seen))
            await asyncio.sleep(AROUND_S)
            with server.client() as client:
                epoch = client.get("{paretogate}:epoch")
            clock.put(OFFSET_S[row.fault])
            recovered = await well_again((first, second), server, epoch)
            await asyncio.sleep(AROUND_S)
            done.set()
        seen |= {stream.result()} if row.phase == redis_rows.STREAM else set()
        held = await first.idle()
    saw = redis_rows.SAW if seen == {"the whole answer"} else ", ".join(sorted(seen))
    record.add(Found("Redis", row.fault, row.phase, saw, leases=held, recovered_s=recovered))
    assert (saw, held) == (redis_rows.SAW, 0)


async def holds(stage: Stage, model: str) -> bool:
    """Whether this gateway sees that somebody has a slot."""
    return f"{model}-1" in await stage.leases()


@pytest.mark.parametrize(
    "row",
    [row for row in process_rows.ROWS if row.fault in {process_rows.FORWARD, process_rows.BACK}],
    ids=lambda row: row.fault,
)
async def test_a_gateway_that(row: process_rows.Row, tmp_path: Path, record: Record) -> None:
    clock, seen, done = Clock(tmp_path), set[str](), asyncio.Event()
    async with staged(tmp_path, ours=clock) as (first, second, _), application(first.url) as app:
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(app.sees(LONG, stream=True, by=LONG))
            await until(lambda: holds(second, LONG), within=PATIENCE_S)
            for stage in (first, second) * CLIENTS:
                group.create_task(asking(stage, NARROW, done, seen))
            await asyncio.sleep(AROUND_S)
            clock.put(OFFSET_S[row.fault])
            await asyncio.sleep(AROUND_S)
            assert await shared(first)
            done.set()
        seen |= {stream.result(), await app.sees(STEADY, stream=True, by=STEADY)}
        held = await first.idle()
    saw = process_rows.WHOLE if seen == {"the whole answer"} else ", ".join(sorted(seen))
    record.add(Found(row.group, row.fault, row.phase, saw, leases=held))
    assert (saw, held) == (row.saw, 0)
