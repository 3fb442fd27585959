"""The story of a query: admit, decide, reserve, forward, settle. Re-placed before the first byte, never after."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from gateway.core.decision import Attempt, Decision, Stopwatch
from gateway.core.describe import describe
from gateway.core.filters import admissible
from gateway.core.retries import backoff
from gateway.domain import ANYONE
from gateway.errors import (
    DeadlineError,
    GatewayError,
    NoHeadroomError,
    NoHealthyEndpointError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamRejectedError,
)
from gateway.load.callers import Callers
from gateway.presence import Presence
from gateway.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from gateway.accounting import Accounts
    from gateway.batcher import Batcher, Placement
    from gateway.core.fleet import Fleet
    from gateway.domain import Endpoint, Key, Query, Route
    from gateway.estimator import Estimator
    from gateway.health import Health
    from gateway.load.truth import Truth
    from gateway.spending import Spending
    from gateway.upstream import Payload, Reply, Upstream

MOST_ATTEMPTS: Final = 4  # endpoints that one query may meet


class Served:
    """A query that an upstream has begun to answer."""

    __slots__ = ("_fleet", "_pipeline", "_remembered", "decision", "reply")

    def __init__(self, decision: Decision, reply: Reply, fleet: Fleet, pipeline: Pipeline) -> None:
        self.decision = decision
        self.reply = reply
        self._fleet = fleet
        self._pipeline = pipeline
        self._remembered = 0

    @property
    def forgetful(self) -> bool:
        """Whether the answer has told of something to go on from that is not remembered yet."""
        return len(self.reply.report.continuations) > self._remembered

    async def remember(self) -> None:
        """What the answer can be gone on from, before the client can do so: call it before its bytes are sent."""
        told = self.reply.report.continuations[self._remembered :]
        self._remembered += len(told)
        await self._pipeline.callers.remember(self.decision.query, told, self.decision.model)

    def explain(self) -> dict[str, object]:
        """The decision in words and numbers, as far as it has come."""
        return describe(self.decision, self._fleet)


class Serving:
    """One query's scope, from its placement to its settlement."""

    __slots__ = ("_accounts", "_decision", "_fleet", "_key", "_payload", "_pipeline", "_scope")

    def __init__(
        self,
        pipeline: Pipeline,
        decision: Decision,
        payload: Payload,
        *,
        accounts: Accounts,
        fleet: Fleet,
        key: Key,
    ) -> None:
        self._pipeline = pipeline
        self._decision = decision
        self._payload = payload
        self._accounts = accounts
        self._fleet = fleet
        self._key = key
        self._scope: Scopes | None = None

    async def __aenter__(self) -> Served:
        self._accounts.opened(self._decision, self._payload)
        try:
            reply, self._scope = await self._pipeline.begin(self._decision, self._payload, self._key)
        except BaseException as error:
            self._accounts.settle(self._decision, error)
            raise
        return Served(self._decision, reply, self._fleet, self._pipeline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ending = error
        try:
            if self._scope is not None:
                await self._scope.__aexit__(kind, error, trace)
        except BaseException as translated:
            ending = translated
            raise
        finally:
            self._accounts.settle(self._decision, ending)


class Pipeline:
    """What happens to a query between its parsing and its last byte."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        estimator: Estimator,
        batcher: Batcher,
        upstream: Upstream,
        health: Health,
        truth: Truth,
        accounts: Accounts,
        spending: Spending,
        callers: Callers | None = None,
        max_wait_s: float,
        draw: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.callers = callers or Callers()
        self.presence = Presence()
        self._fleet = fleet
        self._estimator = estimator
        self._batcher = batcher
        self._upstream = upstream
        self._health = health
        self._truth = truth
        self._accounts = accounts
        self._spending = spending
        self._max_wait_s = max_wait_s
        self._draw = draw
        self._now = now

    def admit(self, query: Query, key: Key = ANYONE) -> Query:
        """The query with the models that may answer it, and how long it may wait.

        Raises:
            InvalidRequestError: and what stands under it: nobody has that name, may, can, or has the context.
        """
        models = admissible(
            self._fleet,
            query.target,
            globs=query.preferences.models,
            needs=query.needs,
            characters=query.characters,
            characters_per_token=self._estimator.characters_per_token,
            max_tokens=query.max_tokens,
            key=key,
        )
        deadline = min(query.deadline_at, query.arrived_at + self._max_wait_s)
        if (caller := self.callers.model_of(query)) in models:
            models = (caller,)
        return query.admitted(models, deadline)

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._fleet.routes

    def serve(self, query: Query, payload: Payload, key: Key = ANYONE) -> Serving:
        """The scope of an answer that has begun. Leaving it frees the slot, closes the upstream and settles, once.

        Raises:
            GatewayError: on entering, nothing has been answered then.
        """
        decision = Decision(query=query, watch=Stopwatch(query.arrived_at), fleet=self._fleet)
        decision.watch.lap("parse", self._now())
        return Serving(self, decision, payload, accounts=self._accounts, fleet=self._fleet, key=key)

    async def begin(self, decision: Decision, payload: Payload, key: Key = ANYONE) -> tuple[Reply, Scopes]:
        """Tries endpoints until one begins to answer; what it holds then is on the scope that comes with the reply.

        Another endpoint of the same model comes first, by its score; then the next best model. A sole endpoint is asked
        again.
        """
        if key.limited:
            await self._spending.admit(key)
        self._health.retries.earn(self._now())
        excluded: tuple[int, ...] = ()
        failure: UpstreamError | None = None
        for left in reversed(range(MOST_ATTEMPTS)):
            async with Scopes() as attempt:
                placement = await self._place(decision, excluded, failure)
                await attempt.enter(placement.reservation)
                if key.limited:
                    await self._set_aside(key, decision, placement, attempt)
                try:
                    reply = await self._open(decision, placement, payload, attempt)
                except UpstreamError as error:
                    if not left or not self._worth_retrying(error):
                        raise
                    failure, excluded = error, self._after(error, placement, excluded, decision.query)
                else:
                    attempt.before_that(partial(self._accounts.close, decision, reply, placement))
                    return reply, attempt.handed_on()
            await asyncio.sleep(backoff(MOST_ATTEMPTS - left, self._draw))
        raise NoHealthyEndpointError("no endpoint could be tried")  # not reached: the last attempt raises

    async def _place(self, decision: Decision, excluded: tuple[int, ...], failure: UpstreamError | None) -> Placement:
        """A slot. Where none is to be had after an endpoint has failed, that failure is what the client hears of."""
        if failure is None:
            return await self._batcher.place(decision, excluded=excluded)
        # the endpoint that failed may have used up all the time that a query waits for room
        deadline = min(decision.query.patient_until, self._now() + self._max_wait_s)
        decision.query = decision.query.admitted(decision.query.models, deadline)
        try:
            return await self._batcher.place(decision, excluded=excluded)
        except (NoHeadroomError, NoHealthyEndpointError) as refusal:
            if isinstance(failure, UpstreamBusyError):
                raise
            raise failure from refusal

    async def _set_aside(self, key: Key, decision: Decision, placement: Placement, attempt: Scopes) -> None:
        """What the answer may cost, out of its key's allowance."""
        try:
            await attempt.enter(self._spending.reserve(key, decision))
        except GatewayError:
            placement.reservation.settle(0)
            raise
        finally:
            decision.watch.lap("reserve", self._now())

    async def _open(self, decision: Decision, placement: Placement, payload: Payload, attempt: Scopes) -> Reply:
        """Sends the query to where it was placed, and tells its breaker how that went."""
        endpoint = self._fleet.endpoints[placement.endpoint]
        leave = self._health.admit(placement.endpoint)
        if leave is None:  # another query's probe is out
            raise UpstreamBusyError(f"{endpoint.name} is being probed", endpoint=endpoint.name)
        try:
            if decision.query.ends_at != inf:
                await attempt.enter(self._in_time(decision))
            reply = await attempt.enter(self._upstream.open(endpoint, payload, decision.watch))
        except UpstreamError as error:
            placement.reservation.settle(0)
            decision.watch.skip(self._now())
            self._note(decision, endpoint, self._health.failed(placement.endpoint, leave, error), error.message)
            raise
        except BaseException:
            self._health.abandoned(placement.endpoint, leave)
            raise
        self._health.answered(placement.endpoint, leave)
        if reply.rates:
            self._truth.heard(endpoint.name, reply.rates)
        self._note(decision, endpoint, "answered")
        decision.first_byte_s = reply.first_at - decision.query.arrived_at
        if not reply.streamed:
            self._accounts.charge(decision, reply)
        return reply

    @asynccontextmanager
    async def _in_time(self, decision: Decision) -> AsyncIterator[None]:
        """The client's own deadline, once an upstream is at work."""
        try:
            async with asyncio.timeout_at(decision.query.ends_at):
                yield
        except TimeoutError as error:
            raise DeadlineError(f"{decision.endpoint} did not finish before routing.deadline_ms") from error

    def _note(self, decision: Decision, endpoint: Endpoint, result: str, message: str = "") -> None:
        decision.attempts.append(Attempt(endpoint.name, result, message))
        self._accounts.attempted(endpoint.name, result)

    def _worth_retrying(self, error: UpstreamError) -> bool:
        """A rejection is the client's doing: another endpoint would say the same."""
        return not isinstance(error, UpstreamRejectedError) and self._health.retries.spend(self._now())

    def _after(
        self, error: UpstreamError, placement: Placement, excluded: tuple[int, ...], query: Query
    ) -> tuple[int, ...]:
        """Whom not to ask again. A busy endpoint may be asked once it has cooled down, and so may a sole one."""
        if isinstance(error, UpstreamBusyError):
            return excluded
        failed = (*excluded, placement.endpoint)
        return failed if set(self._fleet.endpoints_of(query.models)) - set(failed) else ()
