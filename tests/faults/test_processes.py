"""The gateway's own parts in trouble: a predictor service, the solver, and a gateway that is killed."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults import process_rows as rows
from tests.faults.record import Found, Record
from tests.faults.seeing import application
from tests.faults.slow_proxy import SlowProxy
from tests.faults.stage import GATEWAY, PATIENCE_S, PATIENT, STEADY, Stage, fleet, gateway, replaying, until
from tests.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.redis_server import RedisServer

LONG = "long"
KNOWN = {"name": LONG, "price": {"input": 1, "output": 1}, "like": "gemini-1.5-flash-002"}
WRONG_SHAPE = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"quality":[]}'
LEASE_S = 2
AT_ONCE = 40  # queries
UP = re.compile(r"^paretogate_predictor_service_up 1\.0$", re.MULTILINE)

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with replaying(tmp_path_factory.mktemp("processes"), [LONG]) as url:
        yield url


@asynccontextmanager
async def predicted(folder: Path, upstream: str) -> AsyncIterator[tuple[Stage, SlowProxy]]:
    """A gateway that asks a predictor service, through a proxy."""
    service = running([*GATEWAY, "predictor", "--artifact", "starter", "--port", "0"])
    program = await asyncio.to_thread(service.__enter__)
    proxy = SlowProxy(int(program.url.rpartition(":")[2]))
    async with proxy.serving() as port:
        tree = fleet(upstream, [LONG], predictor={"url": f"http://127.0.0.1:{port}", "budget_ms": 1000, "cache": 0})
        tree["models"] = [tree["models"][0], KNOWN]
        process = gateway(folder, tree, upstream)
        try:
            yield await asyncio.to_thread(process.__enter__), proxy
        finally:
            await asyncio.to_thread(process.__exit__, None, None, None)
            await asyncio.to_thread(service.__exit__, None, None, None)


async def is_asked(stage: Stage) -> float:
    """Seconds until the service is asked."""
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def up() -> bool:
        return bool(UP.search(await stage.metrics()))

    await until(up, within=PATIENCE_S)
    return loop.time() - started


@pytest.mark.parametrize("row", [row for row in rows.ROWS if row.group == rows.PREDICTOR], ids=lambda row: row.fault)
async def test_a_predictor_service_that(row: rows.Row, upstream: str, tmp_path: Path, record: Record) -> None:
    async with predicted(tmp_path, upstream) as (stage, proxy), application(stage.url) as app:
        await stage.order()
        await is_asked(stage)
        if row.fault == rows.SLOW:
            proxy.late_s = 5.0
        elif row.fault == rows.DEAD:
            proxy.refuse = True
        else:
            proxy.instead = WRONG_SHAPE
        seen = {await app.sees(f"or-{LONG}", stream=stream) for stream in (True, False) * 4}
        proxy.late_s, proxy.refuse, proxy.instead = 0.0, False, b""
        recovered = await is_asked(stage)
        seen |= {await app.sees(f"or-{LONG}", stream=True)}
        held = await stage.idle()
        stage.faultless()
    saw = rows.PRIORS if seen == {"the whole answer"} else ", ".join(sorted(seen))
    record.add(Found(row.group, row.fault, row.phase, saw, leases=held, recovered_s=recovered))
    assert (saw, held) == (row.saw, 0)


async def test_a_solver_that_is_never_in_time(upstream: str, tmp_path: Path, record: Record) -> None:
    [row] = [row for row in rows.ROWS if row.group == rows.SOLVER]
    each = {"capacity": {"concurrency": 2, "tokens_per_minute": 10_000_000}}
    tree = fleet(upstream, [LONG], each=each, window={"solver_ms": 0.001}, queue={"max_wait_s": 30})
    process = gateway(tmp_path, tree, upstream)
    stage = await asyncio.to_thread(process.__enter__)
    try:
        await stage.order()
        async with application(stage.url) as app:
            seen = set(await asyncio.gather(*(app.sees(f"or-{LONG}", stream=n % 2 == 0) for n in range(AT_ONCE))))
            pinned = set(await asyncio.gather(*(app.sees(LONG, stream=n % 2 == 0) for n in range(AT_ONCE))))
        held = await stage.idle()
        stage.faultless()
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)
    whole = {each.removesuffix(f" of {STEADY}").removesuffix(f" of {LONG}") for each in seen | pinned}
    saw = rows.WHOLE if whole == {"the whole answer"} else ", ".join(sorted(whole))
    record.add(Found(row.group, row.fault, row.phase, saw, leases=held))
    assert (saw, held) == (row.saw, 0)


async def test_a_gateway_that_is_killed(
    upstream: str, tmp_path: Path, record: Record, redis_server: RedisServer
) -> None:
    [row] = [row for row in rows.ROWS if row.fault == rows.KILLED]
    load = {"redis": redis_server.url, "lease_s": LEASE_S}
    tree = fleet(upstream, [LONG], each={"timeout": PATIENT, "capacity": {"concurrency": 4}}, load=load)
    doomed, survivor = gateway(tmp_path, tree, upstream), gateway(tmp_path, tree, upstream)
    stage = await asyncio.to_thread(doomed.__enter__)
    other = await asyncio.to_thread(survivor.__enter__)

    async def all_held() -> bool:
        return (await other.leases()).get(f"{LONG}-1") == 4

    try:
        await stage.order(f"{LONG}=stall-mid-stream")
        async with application(stage.url) as app, asyncio.TaskGroup() as group:
            streams = [group.create_task(app.sees(LONG, stream=True)) for _ in range(4)]
            await until(all_held, within=PATIENCE_S)
            await stage.order()
            stage.program.process.kill()
        seen = {stream.result() for stream in streams}
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with application(other.url) as app:
            assert await app.sees(LONG, stream=False, by=LONG) == "the whole answer"  # it waited for a dead one's slot
        recovered = loop.time() - started
        held = await other.idle()
    finally:
        await asyncio.to_thread(survivor.__exit__, None, None, None)
        stage.program.process.wait()
    record.add(Found(row.group, row.fault, row.phase, ", ".join(seen), "-", row.lost, held, recovered))
    assert (seen, held) == ({row.saw}, 0)
    assert recovered < 5 * LEASE_S  # the machine may be busy
