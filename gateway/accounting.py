"""Settling: usage, cost, slot, metrics and the decision's record, exactly once per query."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

from gateway.domain import Outcome, Usage
from gateway.errors import (
    BudgetSpentError,
    DeadlineError,
    GatewayError,
    InvalidKeyError,
    InvalidRequestError,
    NoHeadroomError,
    PermissionDeniedError,
    RateLimitError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamRejectedError,
)
from gateway.feedback import Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.feedback import DecisionLog, Writer
    from gateway.health import Health
    from gateway.load.reservation import Reservation
    from gateway.metrics import Answers, Metrics
    from gateway.promises import Promises
    from gateway.telling import Telling
    from gateway.tracing import Traces
    from gateway.upstream import Payload, Reply

OUTCOMES: Final[tuple[tuple[type[BaseException], Outcome], ...]] = (  # the first that fits
    (asyncio.CancelledError, Outcome.CANCELLED),
    (GeneratorExit, Outcome.CANCELLED),
    (PermissionDeniedError, Outcome.REJECTED),
    (InvalidKeyError, Outcome.REJECTED),
    (InvalidRequestError, Outcome.INVALID),
    (UpstreamRejectedError, Outcome.INVALID),
    (NoHeadroomError, Outcome.NO_HEADROOM),
    (RateLimitError, Outcome.REJECTED),
    (BudgetSpentError, Outcome.REJECTED),
    (DeadlineError, Outcome.TIMEOUT),
    (UpstreamBusyError, Outcome.NO_HEADROOM),
    (UpstreamError, Outcome.UPSTREAM_FAILED),
)


class Placement(Protocol):
    """Where an answer came from."""

    @property
    def endpoint(self) -> int: ...

    @property
    def reservation(self) -> Reservation: ...


class Accounts:
    """Told once how each query ended."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        metrics: Metrics,
        promises: Promises,
        health: Health,
        log: DecisionLog,
        writer: Writer | None,
        traces: Traces | None = None,
        telling: Telling | None = None,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._promises = promises
        self._health = health
        self._log = log
        self._writer = writer
        self._traces = traces
        self._telling = telling
        self._now = now
        self._wall = wall

    def opened(self, decision: Decision, payload: Payload) -> None:
        """A query has been admitted."""
        self._log.open(decision)
        if self._traces is not None:
            self._traces.begin(decision, payload.path, payload.headers)

    def settle(self, decision: Decision, error: BaseException | None) -> None:
        """A query has ended, with this error or well. Called once."""
        decision.outcome = Outcome.SERVED
        if error is not None:
            decision.outcome = outcome_of(error, begun=decision.first_byte_s is not None)
            decision.error = error.message if isinstance(error, GatewayError) else type(error).__name__
        decision.total_s = self._now() - decision.query.arrived_at
        self._count(decision, decision.outcome)
        if self._writer is not None:
            self._writer.add(Ended(decision, decision.query, self._fleet, self._wall()))
        if self._traces is not None:
            self._traces.end(decision, self._fleet)
        if self._telling is not None:
            self._telling.tell(decision)
        decision.query = decision.query.settled()  # the decision is kept in memory: its text would be most of it

    async def close(self, decision: Decision, reply: Reply, placement: Placement) -> None:
        """An upstream's part is over: what it used is charged, before its slot is freed."""
        usage = self.charge(decision, reply)
        placement.reservation.settle(usage.input_tokens + usage.output_tokens)
        self._timed(decision, reply, placement.endpoint, usage)
        await self._promises.settled(decision)
        if reply.streamed and usage.output_tokens > 1:
            answers = self._metrics.answers(decision.query.target, decision.model, Outcome.SERVED)
            answers.per_token.observe((self._now() - reply.first_at) / (usage.output_tokens - 1))

    def _timed(self, decision: Decision, reply: Reply, endpoint: int, usage: Usage) -> None:
        """How fast the endpoint was, beside the queries that it had when this one was placed."""
        now = self._now()
        total = now - reply.opened_at
        batch = decision.batch
        busy = 0 if batch is None else self._fleet.endpoints[endpoint].capacity.concurrency - int(batch.slots[endpoint])
        self._health.paces.finished(
            endpoint,
            usage,
            first_s=reply.first_at - reply.opened_at if reply.streamed else total,
            total_s=total,
            running=max(busy, 0) + 1,
            now=now,
        )

    def charge(self, decision: Decision, reply: Reply) -> Usage:
        """What has been used up to now, and what it costs."""
        usage = reply.usage or estimated(decision, reply)
        decision.usage, decision.cost_usd = usage, self._fleet.models[decision.column].price.usd(usage)
        return usage

    def attempted(self, endpoint: str, result: str) -> None:
        self._metrics.attempts[endpoint][result].inc()

    def _count(self, decision: Decision, outcome: Outcome) -> None:
        answers = self._metrics.answers(decision.query.target, decision.model, outcome)
        answers.queries.inc()
        if decision.total_s is not None and decision.first_byte_s is not None:
            answers.duration.observe(decision.total_s)
            answers.first_token.observe(decision.first_byte_s)
        if len(decision.attempts) > 1:
            self._count_retries(decision)
        for part, seconds in decision.watch.parts.items():
            self._metrics.parts[part].observe(seconds)
        if decision.usage is not None and decision.cost_usd is not None:
            answers.input_tokens.observe(decision.usage.input_tokens)
            answers.output_tokens.observe(decision.usage.output_tokens)
            answers.actual_cost.inc(decision.cost_usd)
            self._metrics.keys.spent(decision.query.key, decision.cost_usd)
            answers.predicted_cost.inc(decision.expected.cost_usd)
            answers.predicted_quality.inc(decision.expected.quality)
            self._counterfactual(decision, answers)

    def _counterfactual(self, decision: Decision, answers: Answers) -> None:
        """What it was predicted to cost by other rules; a pinned query has no others."""
        rivals = decision.rivals
        if rivals is not None and decision.query.target in self._fleet.routes:
            answers.cheapest.inc(rivals.cheapest)
            answers.best.inc(rivals.best)
            answers.greedy.inc(rivals.alone)

    def _count_retries(self, decision: Decision) -> None:
        tried = [self._fleet.endpoints[self._fleet.endpoint_index[each.endpoint]].model for each in decision.attempts]
        for before, after in pairwise(tried):
            self._metrics.retried["same_model" if before == after else "other_model"].inc()


def estimated(decision: Decision, reply: Reply) -> Usage:
    """Usage of an upstream that reported none: about a token per event that was delivered, and it says so."""
    inputs = round(decision.expected.input_tokens)
    delivered = reply.delivered if reply.streamed else round(len(reply.first) / 4)
    return Usage(input_tokens=inputs, output_tokens=delivered, estimated=True)


def outcome_of(error: BaseException, *, begun: bool) -> Outcome:
    """The one outcome of a query that ended with this error; `begun` when its answer had."""
    if begun and isinstance(error, UpstreamError):
        return Outcome.CUT
    return next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), Outcome.FAILED)
