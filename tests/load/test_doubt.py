"""Links to one Redis that stalls: a query that asks one after another waits for it once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from gateway.core.allowance import Use
from gateway.domain import Capacity, Key
from gateway.load.base import Claim
from gateway.load.doubt import LASTS_S, Doubt
from gateway.load.redis import RedisLoadBook
from gateway.load.redis_allowance import RedisAllowances
from gateway.load.redis_link import LinkError, RedisLink, Script
from tests.clock import jump

if TYPE_CHECKING:
    from tests.redis_server import RedisServer

ONE = Script("return 1")
SHORT_S = 0.5  # enough for a Redis that is there, on a busy machine
LONG_S = 60.0  # nobody waits for it: the test would end by its own limit
KEY = Key("shop", requests_per_minute=1000)


async def test_one_link_tells_another_that_waits_and_another_that_asks_next(redis_server: RedisServer) -> None:
    doubt = Doubt(lasts_s=LONG_S)
    hasty, patient, later = (RedisLink(redis_server.url, budget_s, doubt) for budget_s in (SHORT_S, LONG_S, LONG_S))
    async with asyncio.timeout(20):
        for link in (hasty, patient, later):
            assert await link.run(ONE, []) == 1
        redis_server.pause()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_fails(patient))
            await asyncio.sleep(0)
            await _fails(hasty)
        assert waiting.result() == "TimeoutError"
        assert await _fails(later) == "it has just left another exchange without an answer"
        redis_server.resume()
    for link in (hasty, patient, later):
        await link.close()


def test_a_doubt_passes() -> None:
    async def story() -> list[bool]:
        doubt = Doubt()
        seen = [doubt.fresh]
        doubt.spread()
        seen.append(doubt.fresh)
        await asyncio.sleep(LASTS_S)
        return [*seen, doubt.fresh]

    assert jump(story()) == [False, True, False]


async def _fails(link: RedisLink) -> str:
    with pytest.raises(LinkError) as caught:
        await link.run(ONE, [])
    return str(caught.value)


async def test_links_that_share_nothing_do_not_end_each_other(redis_server: RedisServer) -> None:
    hasty, patient = RedisLink(redis_server.url, SHORT_S), RedisLink(redis_server.url, LONG_S)
    for link in (hasty, patient):
        assert await link.run(ONE, []) == 1
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        redis_server.pause()
        waiting = group.create_task(patient.run(ONE, []))
        await _fails(hasty)
        redis_server.resume()
        assert await waiting == 1
    for link in (hasty, patient):
        await link.close()


@pytest.mark.parametrize("first", ["allowance", "slot"])
async def test_a_query_that_waited_for_its_allowance_does_not_wait_for_its_slot(
    redis_server: RedisServer, first: str
) -> None:
    """Only the first that is asked has a short budget: the other one answers by what the first has learnt."""
    doubt = Doubt(lasts_s=LONG_S)
    short, long = {"budget_s": SHORT_S, "doubt": doubt}, {"budget_s": LONG_S, "doubt": doubt}
    its, others = (short, long) if first == "allowance" else (long, short)
    book = RedisLoadBook({"a": Capacity(8)}, redis_server.url, time.monotonic, **others)  # type: ignore[arg-type]
    allowances = RedisAllowances(
        redis_server.url,
        time.monotonic,
        time.monotonic,
        prefix="test",
        replicas=lambda: 1,
        **its,  # type: ignore[arg-type]
    )
    async with AsyncExitStack() as stack:
        for each in (book, allowances.running()):
            await stack.enter_async_context(each)
        await allowances.take(KEY, Use(requests=1))
        redis_server.pause()
        asks = [lambda: allowances.take(KEY, Use(requests=1)), lambda: book.reserve([Claim("x", "a", 1)])]
        async with asyncio.timeout(20):
            for ask in asks if first == "allowance" else reversed(asks):
                await ask()
        assert not book.shared
        redis_server.resume()
