"""Queries, slots and decisions together: the real decider and book, with a predictor that says what it is told."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.batcher import Batcher, Decider, Placement
from gateway.batcher.batcher import UNMEASURED_S
from gateway.core.breaker import BreakerRules
from gateway.core.decision import Decision, Stopwatch
from gateway.core.fleet import Fleet
from gateway.core.paces import ENOUGH
from gateway.core.window import Window
from gateway.domain import Capacity, Endpoint, MinQuality, Model, Preferences, Price, Query, Route, Usage
from gateway.errors import (
    NoCapableModelError,
    NoHeadroomError,
    NoHealthyEndpointError,
    UpstreamCredentialsError,
    UpstreamError,
)
from gateway.estimator import Estimator, columns_for
from gateway.health import Health
from gateway.load.memory import MemoryLoadBook
from gateway.load.sums import MemorySums
from gateway.metrics import Metrics
from gateway.promises import Promises
from tests.fakes import FakePredictor, held_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODELS = ("cheap", "dear")


@dataclass
class House:
    fleet: Fleet
    batcher: Batcher
    book: MemoryLoadBook
    health: Health
    metrics: Metrics
    promises: Promises
    decider: Decider

    def decision(
        self, text: str = "0.5 hello", target: str = "auto", *, patience: float = 5.0, **wishes: object
    ) -> Decision:
        now = time.monotonic()
        query = Query(
            id=f"q{random.getrandbits(60):x}",
            target=target,
            models=self.fleet.candidates(target),
            messages=msgspec.json.encode([{"role": "user", "content": text}]),
            characters=len(text),
            arrived_at=now,
            deadline_at=now + patience,
            preferences=Preferences(**wishes),  # type: ignore[arg-type]
        )
        return Decision(query=query, watch=Stopwatch(now))


@asynccontextmanager
async def house(
    *,
    cheap: int = 2,
    dear: int = 2,
    twins: int = 1,
    rules: BreakerRules | None = None,
    max_waiting: int = 100,
    quality: float = 0.6,
    solver_s: float = 0.05,
) -> AsyncIterator[House]:
    fleet = Fleet(
        [Model("cheap", Price(1, 1)), Model("dear", Price(100, 100))],
        [
            *(Endpoint(f"cheap-{n}", "cheap", "http://127.0.0.1:1", Capacity(cheap)) for n in range(1, twins + 1)),
            Endpoint("dear-1", "dear", "http://127.0.0.1:2", Capacity(dear)),
        ],
        [Route("auto", MODELS, MinQuality(quality))],
    )
    predictor = FakePredictor(MODELS, (0.0, 0.3))
    metrics = Metrics(fleet.routes, MODELS, [endpoint.name for endpoint in fleet.endpoints])
    columns = columns_for(fleet.models, predictor)
    book = MemoryLoadBook({e.name: e.capacity for e in fleet.endpoints}, time.monotonic)
    health = Health(fleet, time.monotonic, rules)
    promises = Promises(fleet, columns, held_out(predictor), MemorySums())
    async with AsyncExitStack() as stack:
        estimator = await stack.enter_async_context(
            Estimator(fleet, columns, predictor, metrics, budget_s=5.0, cache_size=100)
        )
        shared = {"promises": promises, "health": health, "metrics": metrics, "now": time.monotonic}
        decider = Decider(fleet, estimator, book, queues=dict, solver_s=solver_s, draw=random.random, **shared)  # type: ignore[arg-type]
        batcher = Batcher(fleet, decider, book, window=Window(0.001, 64), max_waiting=max_waiting, **shared)  # type: ignore[arg-type]
        await stack.enter_async_context(batcher.running())
        yield House(fleet, batcher, book, health, metrics, promises, decider)
        assert sum((await book.held()).values()) == 0


@asynccontextmanager
async def place(its: House, decision: Decision, *, excluded: tuple[int, ...] = ()) -> AsyncIterator[Placement]:
    placement = await its.batcher.place(decision, excluded=excluded)
    async with placement.reservation:
        yield placement


async def test_a_query_gets_a_slot_and_gives_it_back() -> None:
    async with house() as its:
        decision = its.decision()
        async with place(its, decision) as placement:
            assert its.fleet.endpoints[placement.endpoint].name == decision.endpoint
            assert (await its.book.held())[decision.endpoint] == 1
        assert set(decision.watch.parts) == {"window", "predict", "assign", "reserve"}
        assert decision.batch is not None
        assert decision.batch.step == "argmin"


async def test_the_promise_decides_between_cheap_and_dear() -> None:
    async with house(cheap=500, dear=500, quality=0.65) as its:
        chosen = []
        for number in range(300):
            text = f"{random.Random(number).uniform(0.2, 0.8):.3f}".ljust(400)  # as long as the held-out ones
            async with place(its, its.decision(text)) as placement:
                chosen.append(placement.decision)
        mean = sum(decision.expected.quality for decision in chosen) / len(chosen)
        assert {decision.model for decision in chosen} == {"cheap", "dear"}
        assert mean == pytest.approx(0.65, abs=0.02)


async def test_capacity_is_never_exceeded_and_everybody_is_served() -> None:
    most = {"cheap-1": 0, "dear-1": 0}

    async def client(its: House, number: int) -> None:
        async with place(its, its.decision(f"0.{number % 9 + 1} text", patience=30.0)):
            for name, held in (await its.book.held()).items():
                most[name] = max(most[name], held)
            await asyncio.sleep(0)

    async with house() as its, asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(client(its, number))
    assert 0 < most["cheap-1"] <= 2
    assert 0 < most["dear-1"] <= 2


@pytest.mark.parametrize("dead", [False, True], ids=["late", "dead"])
async def test_a_solver_that_is_late_or_dead_fails_nobody(dead: bool, caplog: pytest.LogCaptureFixture) -> None:  # noqa: FBT001 - by id
    async with house(cheap=1, dear=1, solver_s=0.05 if dead else 1e-9) as its:
        if dead:
            its.decider.close()

        async def serve() -> Decision:
            decision = its.decision()
            async with place(its, decision):
                return decision

        async with asyncio.TaskGroup() as group:
            served = [group.create_task(serve()) for _ in range(8)]
        steps = {decision.batch.step for task in served if (decision := task.result()).batch}
        assert "incumbent" in steps
        assert steps <= {"incumbent", "argmin"}
        assert ("the solver failed" in caplog.text) is dead


async def test_clients_that_leave_at_any_moment_leave_no_lease() -> None:
    rng = random.Random(7)

    async def client(its: House) -> None:
        async with place(its, its.decision(f"0.{rng.randint(1, 9)}", patience=30.0)):
            await asyncio.sleep(rng.choice((0, 0, 0.001)))

    async with house() as its:
        for _ in range(10):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client(its)) for _ in range(20)]
                for task in tasks:
                    for _ in range(rng.randint(0, 4)):
                        await asyncio.sleep(0)
                    if rng.random() < 0.5:
                        task.cancel()
        assert sum((await its.book.held()).values()) == 0


async def test_a_pinned_model_takes_its_endpoint_without_a_prediction() -> None:
    async with house() as its:
        decision = its.decision(target="dear")
        async with place(its, decision):
            assert decision.endpoint == "dear-1"
        assert decision.ask is None
        assert set(decision.watch.parts) == {"reserve"}


async def test_a_pinned_query_waits_for_room_and_then_gets_it() -> None:
    async with house(dear=1) as its:
        second = its.decision(target="dear")
        async with asyncio.TaskGroup() as group, place(its, its.decision(target="dear")):
            waiting = group.create_task(_take(its, second))
            while not second.times_held:  # noqa: ASYNC110 - nobody else is told
                await asyncio.sleep(0)
            assert not waiting.done()
        assert second.endpoint == "dear-1"


async def _take(its: House, decision: Decision) -> None:
    async with place(its, decision):
        pass


async def test_without_room_until_the_deadline_it_is_refused_with_an_honest_wait() -> None:
    async with house(cheap=1, dear=1) as its:
        async with place(its, its.decision()), place(its, its.decision()):
            with pytest.raises(NoHeadroomError, match="cheap-1, dear-1 full") as caught:
                await _take(its, its.decision(patience=0.05))
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 0


async def test_a_line_that_is_full_refuses_at_once() -> None:
    async with house(cheap=1, dear=1, max_waiting=0) as its:
        with pytest.raises(NoHeadroomError, match="0 queries are waiting already"):
            await _take(its, its.decision())


async def _told(its: House) -> float:
    with pytest.raises(NoHeadroomError) as caught:
        await _take(its, its.decision())
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_a_crowd_is_not_sent_away_for_long_before_an_endpoint_has_been_measured() -> None:
    async with house(cheap=1, dear=1, max_waiting=0) as its:
        assert max([await _told(its) for _ in range(100)]) <= UNMEASURED_S
        for _ in range(ENOUGH):
            its.health.paces.finished(0, Usage(10, 10), first_s=4.0, total_s=4.0, running=1, now=time.monotonic())
        told = [await _told(its) for _ in range(5)]
        assert all(later > earlier for earlier, later in pairwise(told))
        assert told[-1] > UNMEASURED_S


async def test_a_query_whose_endpoints_are_all_down_is_told_when_to_come_back() -> None:
    async with house() as its:
        for index in (0, 1):
            leave = its.health.admit(index)
            assert leave is not None
            its.health.failed(index, leave, UpstreamCredentialsError("no"))
        with pytest.raises(NoHealthyEndpointError) as caught:
            await _take(its, its.decision())
        assert caught.value.retry_after == pytest.approx(60.0, abs=1.0)


async def test_a_cost_cap_that_nobody_meets_is_refused() -> None:
    async with house() as its:
        with pytest.raises(NoCapableModelError):
            await _take(its, its.decision(max_cost_usd=0.0))


async def test_an_endpoint_that_failed_a_query_is_not_given_again() -> None:
    async with house(cheap=9, dear=9) as its:
        decision = its.decision()
        async with place(its, decision) as first:
            excluded = (first.endpoint,)
        async with place(its, decision, excluded=excluded) as second:
            assert second.endpoint != first.endpoint


async def test_a_query_with_wishes_of_its_own_does_not_enter_the_average() -> None:
    async with house() as its:
        [kept] = its.promises
        await _take(its, its.decision(min_quality=0.1))
        await _take(its, its.decision())
        await _take(its, its.decision(tradeoff=10.0))
        await _take(its, its.decision(tradeoff=10.0))  # what a query adds is counted before the next is decided
        assert (await kept.sums()).n == 1


async def test_an_endpoint_that_may_be_well_again_is_tried_though_another_has_more_room() -> None:
    async with house(cheap=50, twins=2, rules=BreakerRules(in_a_row=1, open_s=0.0)) as its:
        leave = its.health.admit(0)
        assert leave is not None
        its.health.failed(0, leave, UpstreamError("reset", endpoint="cheap-1"))
        async with place(its, its.decision(target="cheap")) as probe:
            assert probe.endpoint == 0
            assert its.health.admit(0) is not None  # it is out
            async with place(its, its.decision(target="cheap")) as next_one:
                assert next_one.endpoint == 1
