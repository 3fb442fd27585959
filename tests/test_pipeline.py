"""The story of a query, with a scripted upstream: retries before the first byte, one settlement, no lease left."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.accounting import Accounts
from gateway.batcher import Batcher, Decider
from gateway.core.breaker import BreakerRules
from gateway.core.fleet import Fleet
from gateway.core.window import Window
from gateway.domain import Capacity, Endpoint, MinQuality, Model, Outcome, Preferences, Price, Query, Route, Usage
from gateway.errors import (
    ContextLengthError,
    DeadlineError,
    GatewayError,
    UpstreamBusyError,
    UpstreamCredentialsError,
    UpstreamError,
    UpstreamRejectedError,
)
from gateway.estimator import Estimator, columns_for
from gateway.feedback import DecisionLog
from gateway.health import Health
from gateway.load.allowance import MemoryAllowances
from gateway.load.memory import MemoryLoadBook
from gateway.load.sums import MemorySums
from gateway.load.truth import Truth
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.promises import Promises
from gateway.spending import Spending
from tests.fakes import FakePredictor, held_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.core.decision import Decision, Stopwatch
    from gateway.upstream import Payload

ENDPOINTS = ("cheap-1", "cheap-2", "dear-1")


class FakeReply:
    """An answer that is in hand."""

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage
        self.first = b"{}" * 40
        self.delivered = 7
        self.rates: dict[str, str] = {}
        self.streamed = True
        self.opened_at = self.first_at = time.monotonic()


@dataclass
class FakeUpstream:
    """Fails as scripted, endpoint by endpoint; else answers."""

    script: Mapping[str, list[UpstreamError]] = field(default_factory=dict)
    usage: Usage | None = field(default_factory=lambda: Usage(10, 20))
    opened: list[str] = field(default_factory=list)
    closed: int = 0
    stall: bool = False

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, payload: Payload, watch: Stopwatch) -> AsyncIterator[FakeReply]:
        assert payload is not None
        self.opened.append(endpoint.name)
        watch.lap("connect", time.monotonic())
        planned = self.script.get(endpoint.name, [])
        if planned:
            raise planned.pop(0)
        if self.stall:
            await asyncio.Event().wait()
        try:
            yield FakeReply(self.usage)
        finally:
            self.closed += 1


@dataclass
class House:
    pipeline: Pipeline
    upstream: FakeUpstream
    log: DecisionLog
    book: MemoryLoadBook
    metrics: Metrics
    fleet: Fleet

    async def ask(self, text: str = "0.5 hello", target: str = "auto", **wishes: object) -> Decision:
        query = self.query(text, target, **wishes)
        async with self.pipeline.serve(self.pipeline.admit(query), _payload()) as served:
            return served.decision

    def query(self, text: str, target: str = "auto", **wishes: object) -> Query:
        now = time.monotonic()
        deadline_ms = wishes.get("deadline_ms")
        return Query(
            id=f"q{random.getrandbits(60):x}",
            target=target,
            messages=b'[{"role":"user","content":"' + text.encode() + b'"}]',
            characters=len(text),
            arrived_at=now,
            deadline_at=now + 2.0,
            ends_at=now + float(str(deadline_ms)) / 1000 if deadline_ms else float("inf"),
            preferences=Preferences(**wishes),  # type: ignore[arg-type]
        )

    def count(self, outcome: Outcome) -> float:
        samples = next(m for m in self.metrics.registry.collect() if m.name == "paretogate_queries").samples
        return sum(s.value for s in samples if s.name.endswith("_total") and s.labels["outcome"] == outcome.value)


def _payload() -> Payload:
    return object()  # type: ignore[return-value]


@asynccontextmanager
async def house(upstream: FakeUpstream | None = None) -> AsyncIterator[House]:
    fleet = Fleet(
        [Model("cheap", Price(1, 1), context=1000), Model("dear", Price(100, 100), context=1000)],
        [Endpoint(name, name.split("-")[0], "http://127.0.0.1:1", Capacity(4)) for name in ENDPOINTS],
        [Route("auto", ("cheap", "dear"), MinQuality(0.4))],
    )
    predictor = FakePredictor(("cheap", "dear"), (0.0, 0.3))
    columns, metrics = columns_for(fleet.models, predictor), Metrics(fleet.routes, ("cheap", "dear"), ENDPOINTS)
    book = MemoryLoadBook({e.name: e.capacity for e in fleet.endpoints}, time.monotonic)
    health = Health(fleet, time.monotonic, BreakerRules())
    promises = Promises(fleet, columns, held_out(predictor), MemorySums())
    log, upstream = DecisionLog(100), upstream or FakeUpstream()
    shared = {"promises": promises, "health": health, "metrics": metrics, "now": time.monotonic}
    async with AsyncExitStack() as stack:
        estimator = Estimator(fleet, columns, predictor, metrics, budget_s=5.0, cache_size=10)
        await stack.enter_async_context(estimator)
        decider = Decider(fleet, estimator, book, queues=dict, solver_s=0.05, draw=random.random, **shared)  # type: ignore[arg-type]
        batcher = Batcher(fleet, decider, book, window=Window(0.001, 64), max_waiting=10, **shared)  # type: ignore[arg-type]
        await stack.enter_async_context(batcher.running())
        accounts = Accounts(fleet, log=log, writer=None, wall=time.monotonic, **shared)  # type: ignore[arg-type]
        pipeline = Pipeline(
            fleet,
            estimator=estimator,
            batcher=batcher,
            upstream=upstream,  # type: ignore[arg-type]
            health=health,
            truth=Truth((), book, httpx.AsyncClient(), time.monotonic, random.random),
            accounts=accounts,
            spending=Spending(MemoryAllowances(time.monotonic, lambda: 0.0)),
            max_wait_s=5.0,
            draw=lambda: 0.0,
            now=time.monotonic,
        )
        yield House(pipeline, upstream, log, book, metrics, fleet)
        assert sum((await book.held()).values()) == 0


async def test_a_query_is_served_and_settled_once() -> None:
    async with house() as its:
        decision = await its.ask()
        assert decision.outcome is Outcome.SERVED
        assert decision.usage == Usage(10, 20)
        assert decision.cost_usd == pytest.approx(30 / 1e6)
        assert its.count(Outcome.SERVED) == 1
        assert its.log.find(decision.query.id) is decision
        assert its.upstream.closed == 1
        assert decision.watch.total == pytest.approx(sum(decision.watch.parts.values()))


async def test_what_was_asked_is_not_kept_with_the_decision() -> None:
    async with house() as h:
        decision = await h.ask("0.5 a long document")
        kept = h.log.find(decision.query.id)
        assert kept is decision
        assert (kept.query.target, kept.query.messages, kept.query.tools) == ("auto", b"", b"")


async def test_usage_that_nobody_reported_is_estimated_and_says_so() -> None:
    async with house(FakeUpstream(usage=None)) as its:
        decision = await its.ask()
    assert decision.usage is not None
    assert decision.usage.estimated
    assert decision.usage.output_tokens == 7


@pytest.mark.parametrize("error", [UpstreamError("500"), UpstreamCredentialsError("401")])
async def test_a_failure_before_the_first_byte_goes_to_another_endpoint_of_the_model_first(
    error: UpstreamError,
) -> None:
    async with house(FakeUpstream({"cheap-1": [error], "cheap-2": [error]})) as its:
        decision = await its.ask()
    assert [attempt.result for attempt in decision.attempts] == ["failed", "failed", "answered"]
    assert set(its.upstream.opened[:2]) == {"cheap-1", "cheap-2"}
    assert its.upstream.opened[2] == "dear-1"
    assert decision.model == "dear"


async def test_a_sole_endpoint_is_asked_again() -> None:
    async with house(FakeUpstream({"dear-1": [UpstreamError("reset"), UpstreamError("reset")]})) as its:
        decision = await its.ask(target="dear")
    assert its.upstream.opened == ["dear-1"] * 3
    assert decision.outcome is Outcome.SERVED


async def test_a_rejection_is_the_clients_and_is_not_retried() -> None:
    rejected = UpstreamRejectedError(b'{"error":{}}', upstream_status=422)
    async with house(FakeUpstream({"cheap-1": [rejected], "cheap-2": [rejected]})) as its:
        with pytest.raises(UpstreamRejectedError):
            await its.ask()
        assert len(its.upstream.opened) == 1
        assert its.count(Outcome.INVALID) == 1


async def test_a_busy_endpoint_is_left_alone_and_another_answers() -> None:
    busy = UpstreamBusyError("429", retry_after=60.0)
    async with house(FakeUpstream({"cheap-1": [busy], "cheap-2": [busy]})) as its:
        assert (await its.ask()).model == "dear"
        before = len(its.upstream.opened)
        assert (await its.ask()).model == "dear"
        assert its.upstream.opened[before:] == ["dear-1"]


async def test_when_everybody_fails_the_last_error_is_told_and_nothing_is_held() -> None:
    script = {name: [UpstreamError(name) for _ in range(9)] for name in ENDPOINTS}
    async with house(FakeUpstream(script)) as its:
        with pytest.raises(GatewayError):
            await its.ask()
        assert its.count(Outcome.UPSTREAM_FAILED) == 1
        assert len(its.upstream.opened) <= 4


async def test_a_client_that_leaves_while_an_upstream_works_frees_its_slot() -> None:
    async with house(FakeUpstream(stall=True)) as its, asyncio.TaskGroup() as group:
        task = group.create_task(its.ask())
        while not its.upstream.opened:  # noqa: ASYNC110 - the upstream says nothing before it answers
            await asyncio.sleep(0)
        task.cancel()
    assert its.count(Outcome.CANCELLED) == 1


async def test_a_deadline_that_passes_while_an_upstream_works_is_a_timeout() -> None:
    async with house(FakeUpstream(stall=True)) as its:
        with pytest.raises(DeadlineError):
            await its.ask(deadline_ms=30.0)
        assert its.count(Outcome.TIMEOUT) == 1


async def test_an_answer_that_is_cut_is_counted_so() -> None:
    async with house() as its:
        query = its.pipeline.admit(its.query("0.5"))
        with pytest.raises(UpstreamError):
            async with its.pipeline.serve(query, _payload()):
                raise UpstreamError("broke off")
        assert its.count(Outcome.CUT) == 1


async def test_too_long_for_everybody_is_refused_before_anything_is_asked() -> None:
    async with house() as its:
        with pytest.raises(ContextLengthError):
            await its.ask("0.5" + "x" * 10_000)
        assert its.upstream.opened == []
