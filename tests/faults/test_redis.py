"""The shared load book in trouble: queries go on, and what is held is known again when it is over."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults import redis_rows as rows
from tests.faults.record import Found, Record
from tests.faults.seeing import Application, application
from tests.faults.slow_proxy import SlowProxy
from tests.faults.stage import PATIENCE_S, PATIENT, STEADY, Stage, fleet, gateway, replaying, until
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

LONG = "long"  # the model whose answer outlasts the fault
AWAY_S = 1.0  # how long the fault lasts at least
PARAMETERS = [
    pytest.param(row, id=f"{row.fault} {row.phase}", marks=[] if row.quick else [pytest.mark.faults])
    for row in rows.ROWS
]


class Pair:
    """A Redis and its replica, and what can be done to them. Each fault gives back what ends it."""

    def __init__(self, first: RedisServer, second: RedisServer, proxy: SlowProxy) -> None:
        self.first, self.second, self.proxy = first, second, proxy

    def begin(self, fault: str) -> Callable[[], object]:
        faults: dict[str, Callable[[], Callable[[], object]]] = dict(
            zip(
                rows.FAULTS,
                (self._killed, self._paused, self._late, self._full, self._flushed, self._restarted, self._failed_over),
                strict=True,
            )
        )
        return faults[fault]()

    def _killed(self) -> Callable[[], object]:
        self.first.kill()
        return self.first.start

    def _paused(self) -> Callable[[], object]:
        self.first.pause()
        return self.first.resume

    def _late(self) -> Callable[[], object]:
        self.proxy.late_s = 0.2
        return lambda: setattr(self.proxy, "late_s", 0.0)

    def _full(self) -> Callable[[], object]:
        self._set(self.first, "maxmemory", "1")
        return lambda: self._set(self.first, "maxmemory", "0")

    def _flushed(self) -> Callable[[], object]:
        with self.first.client() as client:
            client.flushall()
        return lambda: None

    def _restarted(self) -> Callable[[], object]:
        self.first.kill()
        self.first.start()
        return lambda: None

    def _failed_over(self) -> Callable[[], object]:
        with self.second.client() as client:
            client.replicaof("127.0.0.1", str(self.first.port))
            while client.info("replication")["master_link_status"] != "up":
                pass
            self.first.kill()
            client.replicaof("NO", "ONE")
        return lambda: None

    @staticmethod
    def _set(server: RedisServer, name: str, value: str) -> None:
        with server.client() as client:
            client.config_set(name, value)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with replaying(tmp_path_factory.mktemp("redis"), [LONG]) as url:
        yield url


@asynccontextmanager
async def sharing(folder: Path, upstream: str) -> AsyncIterator[tuple[Stage, Pair]]:
    """A gateway whose book is in the first Redis, behind a proxy, or else in the second."""
    where = ("redis-server", "--dir", str(folder))  # a replica writes what it is sent
    with RedisServer(*where) as first, RedisServer(*where) as second:
        proxy = SlowProxy(first.port)
        async with proxy.serving() as port:
            load = {"redis": f"redis://127.0.0.1:{port}/0,{second.url}", "lease_s": 5}
            tree = fleet(upstream, [LONG], each={"timeout": PATIENT}, load=load)
            process = gateway(folder, tree, upstream)
            staged = await asyncio.to_thread(process.__enter__)  # the proxy is served meanwhile
            try:
                yield staged, Pair(first, second, proxy)
            finally:
                await asyncio.to_thread(process.__exit__, None, None, None)
            staged.faultless()


async def shared(stage: Stage) -> None:
    async def again() -> bool:
        return "paretogate_load_shared 1.0" in await stage.metrics()

    await until(again, within=PATIENCE_S)


async def asked_meanwhile(app: Application, seen: set[str]) -> None:
    """Queries one after another, for as long as the fault lasts."""
    end = asyncio.get_running_loop().time() + AWAY_S
    while asyncio.get_running_loop().time() < end:
        seen.add(await app.sees(STEADY, stream=False, by=STEADY))


@pytest.mark.parametrize("row", PARAMETERS)
async def test_a_redis_that(row: rows.Row, upstream: str, tmp_path: Path, record: Record) -> None:
    seen: set[str] = set()
    async with sharing(tmp_path, upstream) as (stage, pair), application(stage.url) as app:
        await stage.order(f"{LONG}=drip")
        await shared(stage)
        async with asyncio.TaskGroup() as group:
            if row.phase == rows.STREAM:
                stream = group.create_task(app.sees(LONG, stream=True, by=LONG))
                while not await stage.leases():
                    pass
            end = pair.begin(row.fault)
            await asyncio.gather(*(asked_meanwhile(app, seen) for _ in range(4)))
            end()
            ended = asyncio.get_running_loop().time()
            await shared(stage)
            recovered = asyncio.get_running_loop().time() - ended
        seen |= {stream.result()} if row.phase == rows.STREAM else set()
        assert await app.sees(STEADY, stream=True, by=STEADY) == "the whole answer"
        held = await stage.idle()
        assert "paretogate_load_shared 1.0" in await stage.metrics()
    saw = rows.SAW if seen == {"the whole answer"} else ", ".join(sorted(seen))
    record.add(Found("Redis", row.fault, row.phase, saw, leases=held, recovered_s=recovered))
    assert (saw, held) == (rows.SAW, 0)
