"""One batch, from what its queries ask to the slots that they hold: estimate, price, assign, reserve."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from math import ceil, inf
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from gateway.batcher.reach import within_reach
from gateway.core.capacity import NOWHERE, roomiest
from gateway.core.decision import Batch, Decision
from gateway.core.estimate import UNKNOWN, Estimates
from gateway.core.ladder import at_once, prepare, separable, solve, unopposed
from gateway.core.placing import Ask, Terrain, place
from gateway.core.problem import HELD
from gateway.core.sessions import Homes, at_home, session_of
from gateway.domain import MinQuality
from gateway.load.base import Claim
from gateway.load.reservation import reserve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gateway.batcher.line import Waiter
    from gateway.core.assignment import Assignment, Warm
    from gateway.core.estimate import Expected
    from gateway.core.fleet import Fleet
    from gateway.core.paces import Queue
    from gateway.core.placing import Placing
    from gateway.core.problem import Problem
    from gateway.domain import Query, Route
    from gateway.estimator import Estimator
    from gateway.health import Health
    from gateway.load.base import LoadBook
    from gateway.load.reservation import Reservation
    from gateway.metrics import Metrics
    from gateway.promises import Promises, Terms

log = logging.getLogger(__name__)

PINNED_USD_PER_SECOND: Final = 1e-6  # sends a pinned query to the faster of its endpoints; nothing else is weighed
PATIENCE: Final = 0.5  # share of its time that a query waits for the endpoint it likes best
LEAST_PATIENCE_S: Final = 0.002  # between two looks at the same query when nothing has happened
LONGEST_SOLVE: Final = 3.0  # budgets; a solver that is later than that is left behind


class Placement(msgspec.Struct, frozen=True):
    """Where a query goes, and the slot that it holds there. Enter the reservation; leaving it frees the slot."""

    decision: Decision
    endpoint: int
    reservation: Reservation


class Verdict(msgspec.Struct, frozen=True):
    """What became of one waiter: placed, without room (both None), or with nobody who may answer it."""

    waiter: Waiter[Placement]
    placement: Placement | None = None
    too_dear: bool = False


class Decider:
    """Decides batches, one at a time. Owns the solver's thread and the duals that one batch leaves for the next."""

    def __init__(
        self,
        fleet: Fleet,
        estimator: Estimator,
        book: LoadBook,
        *,
        promises: Promises,
        health: Health,
        metrics: Metrics,
        queues: Callable[[], Mapping[str, Queue]],
        solver_s: float,
        draw: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._estimator = estimator
        self._book = book
        self._promises = promises
        self._health = health
        self._metrics = metrics
        self._queues = queues
        self._solver_s = solver_s
        self._draw = draw
        self._warm: Warm | None = None
        self._homes = Homes()
        self._solver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="solve")
        self._solver.submit(prepare)  # the solvers take a second to load: before the first batch needs them
        self._now = now

    def close(self) -> None:
        self._solver.shutdown(wait=False, cancel_futures=True)

    async def pinned(self, decision: Decision, excluded: tuple[int, ...]) -> Placement | None:
        """A slot for a query that names its model, where one of its endpoints has room: there is nothing to weigh."""
        endpoint = await self._roomiest(decision.query, excluded)
        if endpoint is None:
            return None
        self._choose(decision, endpoint, self._estimator.expect(decision.query, self._column(endpoint)))
        [reservation] = await reserve(self._book, [claim(decision)])
        decision.watch.lap("reserve", self._now())
        if reservation is None:
            return None
        self._homes.settle(decision.query, endpoint)
        return Placement(decision, endpoint, reservation)

    async def _roomiest(self, query: Query, excluded: tuple[int, ...]) -> int | None:
        """Its session's home or else the endpoint with the most room. A sole one, that is well, is simply tried."""
        mine = self._fleet.endpoints_of_model[query.target]
        now = self._now()
        if len(mine) == 1 and not excluded and self._health.all_well:
            return int(mine[0])
        free = self._health.eased(await self._book.headroom(), now).places[mine]
        usable = self._health.open(now)[mine] & ~np.isin(mine, excluded)
        room = at_home((usable & (free > 0))[None], [self._home(query, mine)], free)[0] * free
        chosen = roomiest(room if excluded else self._health.probes_first(room, mine, now), self._draw)
        return None if chosen == NOWHERE else int(mine[chosen])

    def _home(self, query: Query, among: NDArray[np.intp]) -> int | None:
        """Its position among these endpoints."""
        where = np.flatnonzero(among == self._homes.of(query))
        return int(where[0]) if where.size else None

    async def decide(self, batch: Sequence[Waiter[Placement]]) -> list[Verdict]:
        """A verdict for each, in order: whoever cannot be placed now is without room."""
        fresh = [waiter for waiter in batch if waiter.decision.estimate is UNKNOWN]
        self._lap(fresh, "window")
        await self._estimate([waiter.decision for waiter in fresh])
        self._lap(fresh, "predict")
        terrain = await self._terrain()
        near = within_reach(batch, self._fleet, terrain.headroom.places * terrain.healthy, self._now())
        verdicts = {verdict.waiter: verdict for verdict in (await self._weigh(near, terrain) if near else ())}
        return [verdicts.get(waiter) or self._unweighed(waiter) for waiter in batch]

    async def _weigh(self, batch: Sequence[Waiter[Placement]], terrain: Terrain) -> list[Verdict]:
        self._lap([waiter for waiter in batch if waiter.decision.ask], "window")
        terms = await self._promises.terms([waiter.query for waiter in batch])
        now = self._now()
        asks = [self._ask(waiter, its, now) for waiter, its in zip(batch, terms, strict=True)]
        placing = place(asks, Estimates.stack([waiter.decision.estimate for waiter in batch]), terrain)
        assignment = unopposed(placing) or await self._solve(placing.problem)
        self._record(batch, asks, placing, Batch.of(placing, assignment, terrain))
        self._lap(batch, "assign")
        placements = await self._reserve(batch, assignment.choice.tolist())
        if None in placements:
            for waiter, patience in zip(batch, placing.patience_s.tolist(), strict=True):
                waiter.review_at = now + max(patience, LEAST_PATIENCE_S)
        self._lap(batch, "reserve")
        return [Verdict(*each) for each in zip(batch, placements, placing.too_dear.tolist(), strict=True)]

    def _unweighed(self, waiter: Waiter[Placement]) -> Verdict:
        """Without room: it is looked at again when there is some."""
        waiter.decision.times_held += 1
        waiter.review_at = inf if waiter.review_at <= self._now() else waiter.review_at
        return Verdict(waiter)

    async def _estimate(self, fresh: Sequence[Decision]) -> None:
        """A pinned model is priced by what is known of it; its text is not looked at."""
        scored = [decision for decision in fresh if decision.query.target in self._fleet.routes]
        for decision in fresh:
            if decision.query.target not in self._fleet.routes:
                decision.estimate = self._estimator.prior(decision.query)
        if scored:
            estimates = await self._estimator.estimate([decision.query for decision in scored])
            for decision, estimate in zip(scored, estimates, strict=True):
                decision.estimate = estimate

    def _ask(self, waiter: Waiter[Placement], terms: Terms | None, now: float) -> Ask:
        query = waiter.query
        wishes = query.preferences
        route = self._fleet.routes.get(query.target)
        models = self._fleet.model_mask(query.models)
        waited = now - query.arrived_at
        left = PATIENCE * (query.deadline_at - query.arrived_at) - waited
        party = (wishes.priority, query.key)
        ends_in = query.ends_at - now
        if route is None or terms is None:
            return Ask(
                models=models,
                excluded=waiter.excluded,
                usd_per_second=PINNED_USD_PER_SECOND,
                waited_s=waited,
                time_left_s=left,
                party=party,
                session=session_of(query),
                home=self._homes.of(query),
                ends_in_s=ends_in,
            )
        return Ask(
            models=models,
            waited_s=waited,
            time_left_s=left,
            party=party,
            session=session_of(query),
            home=self._homes.of(query),
            ends_in_s=ends_in,
            multiplier=terms.multiplier,
            bias=terms.bias,
            risk=route.risk,
            usd_per_second=route.usd_per_second,
            floor=wishes.min_quality or 0.0,
            max_cost_usd=np.inf if wishes.max_cost_usd is None else wishes.max_cost_usd,
            excluded=waiter.excluded,
            batch_quality=asked_of_a_batch(route),
        )

    async def _terrain(self) -> Terrain:
        free = await self._book.headroom()
        now = self._now()
        return Terrain(
            model_of_endpoint=self._fleet.model_of_endpoint,
            headroom=self._health.eased(free, now),
            healthy=self._health.open(now),
            pace=self._health.paces.pace(now),
            traffic=self._health.paces.traffic(free, self._queues()),
        )

    async def _solve(self, problem: Problem) -> Assignment:
        """On the solver's thread where rows bind; each query's own best needs none. Late or dead, it is not missed."""
        assignment = separable(problem)
        if assignment is not None:
            return assignment
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LONGEST_SOLVE * self._solver_s):
                assignment = await loop.run_in_executor(self._solver, self._on_thread, problem)
        except TimeoutError:
            return at_once(problem)
        except Exception:
            log.exception("the solver failed on a batch of %d", problem.shape[0])
            return at_once(problem)
        self._warm = assignment.warm
        return assignment

    def _on_thread(self, problem: Problem) -> Assignment:
        return solve(problem, budget_s=self._solver_s, warm=self._warm, clock=self._now)

    async def _reserve(self, batch: Sequence[Waiter[Placement]], choice: Sequence[int]) -> list[Placement | None]:
        """One step for the whole batch. A slot that another replica took first is simply not there."""
        chosen = [(row, endpoint) for row, endpoint in enumerate(choice) if endpoint != HELD]
        for row, endpoint in chosen:
            decision = batch[row].decision
            bias = decision.ask.bias if decision.ask else 0.0
            self._choose(decision, endpoint, decision.estimate.at(self._column(endpoint), bias))
        placements: list[Placement | None] = [None] * len(batch)
        granted = await reserve(self._book, [claim(batch[row].decision) for row, _ in chosen]) if chosen else []
        for (row, endpoint), reservation in zip(chosen, granted, strict=True):
            if reservation is not None:
                placements[row] = Placement(batch[row].decision, endpoint, reservation)
                self._homes.settle(batch[row].query, endpoint)
        for waiter, placement in zip(batch, placements, strict=True):
            waiter.decision.times_held += placement is None
        return placements

    def _record(
        self, batch: Sequence[Waiter[Placement]], asks: Sequence[Ask], placing: Placing, decided: Batch
    ) -> None:
        for row, (waiter, ask, rivals) in enumerate(zip(batch, asks, placing.rivals, strict=True)):
            decision = waiter.decision
            decision.ask, decision.batch, decision.rivals = ask, decided, rivals
            decision.score_usd, decision.allowed = placing.score_usd[row], placing.allowed[row]
            decision.below_floor = bool(placing.below_floor[row])
        self._metrics.decided(decided)

    def _column(self, endpoint: int) -> int:
        return self._fleet.model_of_endpoint.item(endpoint)

    def _choose(self, decision: Decision, endpoint: int, expected: Expected) -> None:
        chosen = self._fleet.endpoints[endpoint]
        decision.endpoint, decision.model = chosen.name, chosen.model
        decision.column, decision.expected = self._column(endpoint), expected

    def _lap(self, batch: Sequence[Waiter[Placement]], part: str) -> None:
        now = self._now()
        for waiter in batch:
            waiter.decision.watch.lap(part, now)


def claim(decision: Decision) -> Claim:
    """The slot that it was given, under a name of its own for every attempt."""
    lease_id = f"{decision.query.id}/{len(decision.attempts)}"
    return Claim(lease_id=lease_id, endpoint=decision.endpoint, tokens=ceil(decision.expected.tokens))


def asked_of_a_batch(route: Route) -> float | None:
    """The papers' constraint, where a route asks for it instead of the promise over time."""
    return route.objective.quality if route.batch_quality and isinstance(route.objective, MinQuality) else None
