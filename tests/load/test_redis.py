"""The shared book when several replicas, a dead one, or a Redis in trouble are in play. All on real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.domain import Capacity
from gateway.errors import ConfigurationError
from gateway.load.base import Claim
from gateway.load.courier import Unobserved
from gateway.load.redis import RedisLoadBook
from tests.redis_server import RedisServer, free_port, valkey_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

CAPACITY = {"a": Capacity(8)}


def _book(
    url: str, capacities: dict[str, Capacity] | None = None, *, lease_s: float = 15.0, budget_s: float = 2.0
) -> RedisLoadBook:
    """With patience: on a busy machine 50 ms may pass for other reasons than those that a test is about."""
    clock = asyncio.get_running_loop().time
    return RedisLoadBook(capacities or CAPACITY, url, clock, lease_s=lease_s, budget_s=budget_s)


def _claims(name: str, count: int) -> list[Claim]:
    return [Claim(f"{name}/{i}", "a", 10) for i in range(count)]


async def _until(book: RedisLoadBook, condition: Callable[[], Awaitable[bool]], *, within: float) -> None:
    """Looks whenever something may have changed."""
    async with asyncio.timeout(within):
        while True:
            seen = book.releases
            if await condition():
                return
            await book.freed(seen)


async def test_replicas_share_one_capacity(redis_url: str) -> None:
    async with _book(redis_url) as one, _book(redis_url) as two:
        assert sum(await one.reserve(_claims("one", 5))) == 5
        assert sum(await two.reserve(_claims("two", 5))) == 3
        assert await one.held() == await two.held() == {"a": 8}
        assert (await one.headroom()).slots.tolist() == [0]


async def test_a_release_wakes_the_other_replica(redis_url: str) -> None:
    async with _book(redis_url) as one, _book(redis_url) as two:
        await one.reserve(_claims("one", 8))
        assert await two.reserve([Claim("2", "a", 10)]) == [False]

        async def granted() -> bool:
            return (await two.reserve([Claim("2", "a", 10)])) == [True]

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_until(two, granted, within=5))
            await two.held()
            assert not waiting.done()
            await one.release("one/3")


async def test_rates_hold_across_replicas_and_are_corrected_by_either(redis_url: str) -> None:
    rates = {"a": Capacity(8, requests_per_minute=3, tokens_per_minute=100)}
    async with _book(redis_url, rates) as one, _book(redis_url, rates) as two:
        assert await one.reserve([Claim("1", "a", 60)]) == [True]
        assert await two.reserve([Claim("2", "a", 60)]) == [False]
        await one.release("1", used_tokens=20)
        await one.held()
        assert await two.reserve([Claim("2", "a", 60)]) == [True]
        assert await two.reserve([Claim("3", "a", 20)]) == [True]
        assert await one.reserve([Claim("4", "a", 0)]) == [False]


class Counted(Unobserved):
    """How many exchanges there were."""

    def __init__(self) -> None:
        self.exchanges = 0

    def exchanged(self, seconds: float) -> None:  # noqa: ARG002 - as an observer is told
        self.exchanges += 1


async def test_what_comes_up_within_a_turn_of_the_loop_travels_together(redis_url: str) -> None:
    counted = Counted()
    clock = asyncio.get_running_loop().time
    async with RedisLoadBook(CAPACITY, redis_url, clock, budget_s=2.0, observer=counted) as book:

        async def a_turn_later() -> Sequence[bool]:
            await asyncio.sleep(0)
            return await book.reserve([Claim("2", "a", 10)])

        await book.held()
        before = counted.exchanges
        async with asyncio.TaskGroup() as group:
            first = group.create_task(book.reserve([Claim("1", "a", 10)]))
            second = group.create_task(a_turn_later())
        assert (first.result(), second.result()) == ([True], [True])
        assert counted.exchanges == before + 1


async def test_a_replica_that_leaves_takes_its_leases_along(redis_url: str) -> None:
    async with _book(redis_url) as one:
        async with _book(redis_url) as two:
            await two.reserve(_claims("two", 8))
            assert await one.held() == {"a": 8}
            assert one.replicas == 2
        assert await one.held() == {"a": 0}
        assert one.replicas == 1


async def test_leases_of_a_killed_process_free_themselves(redis_url: str) -> None:
    doomed = textwrap.dedent("""
        import asyncio, sys
        from gateway.domain import Capacity
        from gateway.load.base import Claim
        from gateway.load.redis import RedisLoadBook

        async def hold(url):
            clock = asyncio.get_running_loop().time
            async with RedisLoadBook({"a": Capacity(8)}, url, clock, lease_s=0.5) as book:
                await book.reserve([Claim(str(i), "a", 10) for i in range(8)])
                print(await book.held(), flush=True)
                await asyncio.Event().wait()

        asyncio.run(hold(sys.argv[1]))
    """)
    async with _book(redis_url, lease_s=0.5) as book:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", doomed, redis_url, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"{'a': 8}\n"
        assert await book.reserve([Claim("1", "a", 10)]) == [False]
        process.kill()
        await process.wait()

        async def granted() -> bool:
            return (await book.reserve([Claim("1", "a", 10)])) == [True]

        await _until(book, granted, within=5)
        assert await book.held() == {"a": 1}


async def test_leases_outlive_their_period_while_their_process_lives(redis_url: str) -> None:
    async with _book(redis_url, lease_s=0.3) as one, _book(redis_url, lease_s=0.3) as two:
        await one.reserve(_claims("one", 8))
        end = asyncio.get_running_loop().time() + 1.0

        async def past_the_period() -> bool:
            assert await two.reserve([Claim("2", "a", 10)]) == [False]
            return asyncio.get_running_loop().time() > end

        await _until(two, past_the_period, within=5)  # woken each time a lease would end, were it not renewed


async def test_an_address_that_is_none_is_the_operators_to_mend() -> None:
    with pytest.raises(ConfigurationError, match="redis://") as caught:
        _book("http://:secret@localhost")
    assert "secret" not in str(caught.value)


async def test_the_next_address_is_tried_when_one_does_not_answer(redis_url: str) -> None:
    async with _book(f"redis://127.0.0.1:1, {redis_url}") as book:
        await _shared(book, within=5)


async def test_a_redis_that_is_down_at_the_start_does_not_prevent_it(caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer()
    async with _book(server.url) as book:
        assert "does not answer" in caplog.text
        assert not book.shared
        assert sum(await book.reserve(_claims("one", 9))) == 8
        with server:
            await _shared(book, within=5)
            assert await book.held() == {"a": 8}
            await book.release("one/0")
            assert await book.held() == {"a": 7}


async def _shared(book: RedisLoadBook, *, within: float) -> None:
    async def is_shared() -> bool:
        return book.shared

    await _until(book, is_shared, within=within)


@pytest.mark.parametrize("trouble", ["pause", "kill"])
async def test_while_redis_is_away_each_replica_keeps_to_its_share(redis_server: RedisServer, trouble: str) -> None:
    clock = asyncio.get_running_loop().time
    budget_s = 0.05 if trouble == "pause" else 2.0
    async with _book(redis_server.url, budget_s=budget_s) as one, _book(redis_server.url, budget_s=budget_s) as two:
        await one.held()
        assert (one.replicas, two.replicas) == (2, 2)
        assert sum(await one.reserve(_claims("one", 2))) == 2
        getattr(redis_server, trouble)()
        started = clock()
        assert sum(await one.reserve(_claims("away/one", 8))) == 2
        assert clock() - started < 0.5
        assert not one.shared
        assert sum(await two.reserve(_claims("away/two", 8))) == 4
        started = clock()
        await one.release("away/one/0")
        assert await one.reserve([Claim("again", "a", 10)]) == [True]
        assert await one.held() == {"a": 4}
        assert clock() - started < 0.05
        if trouble == "pause":
            redis_server.resume()
        else:
            redis_server.start()
        await _shared(one, within=5)
        await _shared(two, within=5)
        assert await one.held() == {"a": 8}
        assert await two.reserve([Claim("more", "a", 10)]) == [False]
        await one.release("one/0")
        await one.held()
        assert await two.reserve([Claim("more", "a", 10)]) == [True]


async def test_a_flushed_redis_learns_again_what_is_held(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as one, _book(redis_server.url) as two:
        await one.reserve(_claims("one", 4))
        await two.reserve(_claims("two", 4))
        with redis_server.client() as client:
            client.flushall()
        await one.held()
        assert not one.shared
        assert await one.reserve([Claim("more", "a", 10)]) == [False]
        await two.held()
        await _shared(one, within=5)
        await _shared(two, within=5)
        assert await one.held() == {"a": 8}


async def test_a_redis_that_refuses_to_write_is_as_good_as_away(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as book:
        with redis_server.client() as client:
            client.config_set("maxmemory", "1")
            assert sum(await book.reserve(_claims("one", 9))) == 8
            assert not book.shared
            client.config_set("maxmemory", "0")
        await _shared(book, within=5)
        assert await book.held() == {"a": 8}


async def test_a_redis_that_is_too_slow_is_as_good_as_away(redis_url: str) -> None:
    async with _slowed(redis_url, 0.2) as slow_url, _book(slow_url, budget_s=0.05) as book:
        assert not book.shared
        async with asyncio.timeout(0.5):
            assert sum(await book.reserve(_claims("one", 9))) == 8
            assert (await book.headroom()).slots.tolist() == [0]


@asynccontextmanager
async def _slowed(url: str, seconds: float) -> AsyncIterator[str]:
    """The same Redis, with every answer that late."""
    loop, port = asyncio.get_running_loop(), int(url.rpartition(":")[2].partition("/")[0])

    carrying = 0
    nobody = asyncio.Event()

    async def carry(asked: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        nonlocal carrying
        carrying += 1
        answers, questions = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while piece := await answers.read(65536):
                loop.call_later(seconds, asking.write, piece)

        async with asyncio.TaskGroup() as group:
            answering = group.create_task(back())
            while piece := await asked.read(65536):
                questions.write(piece)
            answering.cancel()
        for writer in (questions, asking):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        carrying -= 1
        if not carrying:
            nobody.set()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        await nobody.wait()


async def test_no_ask_is_lost_when_redis_goes_in_the_middle_of_many(redis_server: RedisServer) -> None:
    async with _book(redis_server.url) as book, asyncio.TaskGroup() as group:
        asked = [group.create_task(book.reserve([Claim(str(i), "a", 10)])) for i in range(500)]
        looks = [group.create_task(book.headroom()) for _ in range(5)]
        await asyncio.sleep(0)
        redis_server.kill()
        async with asyncio.timeout(1):
            verdicts = [(await verdict)[0] for verdict in asked]
            assert sum(verdicts) == 8
            assert [(await look).slots.shape for look in looks] == [(1,)] * 5


@pytest.mark.parametrize("program", [lambda: "redis-server", valkey_server], ids=["redis", "valkey"])
async def test_a_cluster_is_followed_to_the_node_that_has_the_keys(tmp_path: Path, program: Callable[[], str]) -> None:
    bus = {"here": str(free_port()), "there": str(free_port())}

    def node(name: str) -> RedisServer:
        (tmp_path / name).mkdir()
        options = ("--cluster-enabled", "yes", "--cluster-port", bus[name], "--dir", str(tmp_path / name))
        return RedisServer(program(), *options)

    with node("here") as here, node("there") as there, here.client() as asked, there.client() as owner:
        slot = int(asked.cluster("keyslot", "{paretogate}"))
        owner.cluster("addslots", slot)
        asked.cluster("addslots", *(other for other in range(16384) if other != slot))
        asked.cluster("meet", "127.0.0.1", there.port, bus["there"])
        async with _book(here.url, {"a": Capacity(8, requests_per_minute=9), "b": Capacity(1)}) as book:
            await _shared(book, within=10)
            assert await book.reserve([Claim("1", "a", 10), Claim("2", "b", 10)]) == [True, True]
            assert await book.held() == {"a": 1, "b": 1}
            assert owner.dbsize() > 0
            assert asked.dbsize() == 0
