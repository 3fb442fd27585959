"""A client may leave in seven phases; in each its upstream is closed and its slot is free."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import pytest

from gateway.app import Gateway, now, wall
from gateway.domain import Outcome
from gateway.load.allowance import MemoryAllowances
from gateway.load.memory import MemoryLoadBook
from gateway.load.opening import Stores
from gateway.load.sums import MemorySums
from predictors.artifact import Artifact, Manifest
from tests.fakes import FakePredictor, held_out
from tests.gateway_server import gateway, leases, serving, settings, until_idle
from tests.http.asking import ask, chat
from tests.upstream_app import STALL, Play, Upstream, delta, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from gateway.domain import Capacity
    from gateway.load.base import Claim, Headroom
    from gateway.settings import Settings
    from predictors.base import Prediction, Prompt

PROMPT = 0.05  # seconds in which a client that has left must be forgotten


class Leaver:
    """A client that asks, and leaves without a word."""

    def __init__(self, url: str, **body: object) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._body = chat(**body)  # type: ignore[arg-type]
        self.session = aiohttp.ClientSession()
        self.answer: aiohttp.ClientResponse | None = None

    async def ask(self) -> None:
        self.answer = await self.session.post(self._url, json=self._body)

    async def leave(self) -> None:
        await self.session.close()
        if self.answer is not None:
            self.answer.close()


@asynccontextmanager
async def leaving(url: str, **body: object) -> AsyncIterator[Leaver]:
    """A client that is asking; it has left at the latest when the block ends."""
    leaver = Leaver(url, **body)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(leaver.ask())
        yield leaver
        asking.cancel()
        await leaver.leave()


async def is_forgotten(url: str, upstream: Upstream | None = None) -> None:
    """No slot is held, and the upstream's connection is closed, at once."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(20 * PROMPT):  # the machine may be busy
        if upstream is not None:
            await upstream.asked[-1].gone.wait()
        await until_idle(session, url)


@pytest.mark.parametrize("model", ["auto", "cheap"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_before_the_first_byte(url: str, cheap: Upstream, model: str, streamed: bool) -> None:  # noqa: FBT001
    cheap.then(Play([STALL]))
    async with leaving(url, model=model, stream=streamed):
        await cheap.reached()
    await is_forgotten(url, cheap)


async def test_in_the_middle_of_a_whole_answer(url: str, cheap: Upstream) -> None:
    begun = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    cheap.then(Play([begun, head, STALL]))
    async with leaving(url):
        await cheap.reached()
        begun.set()
    await is_forgotten(url, cheap)


async def test_in_the_middle_of_a_stream(url: str, cheap: Upstream) -> None:
    cheap.then(stream(delta("one"), STALL))
    leaver = Leaver(url, stream=True)
    await leaver.ask()
    assert leaver.answer is not None
    assert await leaver.answer.content.readexactly(len(delta("one"))) == delta("one")
    name = leaver.answer.headers["x-paretogate-decision"]
    await leaver.leave()
    await is_forgotten(url, cheap)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/decisions/{name}") as found:
        told = await found.json()
    assert told["outcome"] == "cancelled"
    assert told["actual"]["estimated"]  # what was delivered is charged


async def test_a_stream_that_nobody_reads_any_more(url: str, cheap: Upstream) -> None:
    """The upstream keeps writing into a client that takes nothing, then leaves."""
    cheap.then(stream(*[delta("x" * 50_000)] * 200, STALL))
    leaver = Leaver(url, stream=True)
    await leaver.ask()
    await cheap.reached()
    await leaver.leave()
    await is_forgotten(url, cheap)


async def test_in_the_queue(cheap: Upstream) -> None:
    cheap.then(Play([STALL]))
    one: dict[str, object] = {"capacity": {"concurrency": 1}}
    async with cheap.serving() as upstream, gateway(settings({"cheap": upstream}, each=one)) as url:
        async with leaving(url):
            await cheap.reached()
            for model in ("auto", "cheap"):
                async with leaving(url, model=model):
                    await until_waiting(url, 1)
                await until_waiting(url, 0)
        await is_forgotten(url, cheap)
    assert len(cheap.asked) == 1


async def until_waiting(url: str, count: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/metrics") as answer:
                if f"paretogate_waiting_queries {float(count)}" in await answer.text():
                    return


class StuckPredictor(FakePredictor):
    """Says when it has been asked, and waits for leave to answer."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(models, [0.0] * len(models))
        self.asked_now = threading.Event()
        self.released = threading.Event()

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        self.asked_now.set()
        self.released.wait()
        return super().predict(prompts)


class StuckBook(MemoryLoadBook):
    """Waits for leave before it looks, or before it reserves, and says that it does."""

    def __init__(self, capacities: Mapping[str, Capacity], stuck_at: str) -> None:
        super().__init__(capacities, time.monotonic)
        self.asked_now = asyncio.Event()
        self.released = asyncio.Event()
        self._stuck_at = stuck_at

    async def headroom(self) -> Headroom:
        await self._pass("headroom")
        return await super().headroom()

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        await self._pass("reserve")
        return await super().reserve(claims)

    async def _pass(self, at: str) -> None:
        if at == self._stuck_at:
            self.asked_now.set()
            await self.released.wait()


class Rigged(Gateway):
    """The real one, with a predictor or a load book of the test's."""

    def __init__(self, its: Settings, *, predictor: FakePredictor | None = None, stuck_at: str = "") -> None:
        super().__init__(its)
        self.book = StuckBook({endpoint.name: endpoint.capacity for endpoint in self.fleet.endpoints}, stuck_at)
        if predictor is not None:
            manifest = Manifest(predictor="fake", models=predictor.models, aliases={}, encoder="none")
            outcomes = held_out(FakePredictor(predictor.models, [0.0]))
            self.current.artifact = Artifact(predictor, outcomes, manifest, np.zeros(0, np.uint64))

    @asynccontextmanager
    async def _open_load(self) -> AsyncIterator[Stores]:
        yield Stores(self.book, MemorySums(), MemoryAllowances(now, wall), None)


async def still_serves(url: str, cheap: Upstream) -> None:
    """The next client is answered, and it is the first that the upstream hears of."""
    async with aiohttp.ClientSession() as session:
        assert (await ask(session, url)).status == 200
        assert await leases(session, url) == {"cheap-1": 0}
    assert len(cheap.asked) == 1


async def test_in_the_predictor(cheap: Upstream) -> None:
    predictor = StuckPredictor(["cheap"])
    async with cheap.serving() as upstream, AsyncExitStack() as stack:
        stack.callback(predictor.released.set)
        its = settings({"cheap": upstream}, models={"cheap": {"like": "cheap"}}, predictor={"budget_ms": 60_000})
        url = await stack.enter_async_context(serving(Rigged(its, predictor=predictor)))
        async with leaving(url):
            await asyncio.get_running_loop().run_in_executor(None, predictor.asked_now.wait)
        await until_waiting(url, 0)  # gone, though the thread is still at it
        predictor.released.set()
        await is_forgotten(url)
        await still_serves(url, cheap)


@pytest.mark.parametrize("model", ["auto", "cheap"])
@pytest.mark.parametrize("stuck_at", ["headroom", "reserve"])
async def test_in_the_decision(cheap: Upstream, model: str, stuck_at: str) -> None:
    """In the solver and around it: the others' batch goes on, and what it grants to who has gone is given back."""
    async with cheap.serving() as upstream:
        twice = [{"name": f"cheap-{n}", "model": "cheap", "url": upstream} for n in (1, 2)]
        rigged = Rigged(settings({"cheap": upstream}, endpoints=twice), stuck_at=stuck_at)
        async with serving(rigged) as url:
            async with leaving(url, model=model):
                await rigged.book.asked_now.wait()
            while rigged.log.recent(1)[0].outcome is not Outcome.CANCELLED:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0)
            rigged.book.released.set()
            await is_forgotten(url)
            async with aiohttp.ClientSession() as session:
                assert (await ask(session, url)).status == 200
    assert len(cheap.asked) == 1


async def test_in_the_window(cheap: Upstream) -> None:
    """The last batch left somebody without room, so the next one waits for company."""
    cheap.then(Play([STALL]))
    one: dict[str, object] = {"capacity": {"concurrency": 1}}
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, each=one, window={"max_wait_ms": 1000})) as url,
    ):
        async with leaving(url), leaving(url):
            await cheap.reached()
            await until_waiting(url, 1)
            async with leaving(url):
                await until_waiting(url, 2)
            await until_waiting(url, 1)
        await is_forgotten(url)
    assert len(cheap.asked) == 1


async def test_many_leave_at_once(url: str, cheap: Upstream, dear: Upstream) -> None:
    for upstream in (cheap, dear):
        upstream.then(stream(delta("one"), STALL))
    leavers = [Leaver(url, stream=number % 2 == 0) for number in range(60)]
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(leaver.ask()) for leaver in leavers]
        await cheap.reached(60)
        for task in asking:
            task.cancel()
        for leaver in leavers:
            await leaver.leave()
    await is_forgotten(url)
    await asyncio.gather(*(asked.gone.wait() for asked in cheap.asked))
