"""The shell around the line and the decider: one task decides, one listens for room."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from gateway.batcher.line import Line
from gateway.core.appointments import Appointments
from gateway.errors import GatewayError, NoCapableModelError, NoHeadroomError, NoHealthyEndpointError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.batcher.decider import Decider, Placement, Verdict
    from gateway.batcher.line import Waiter
    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.core.window import Window
    from gateway.domain import Query
    from gateway.health import Health
    from gateway.load.base import LoadBook
    from gateway.metrics import Metrics
    from gateway.promises import Promises

LEAST_WAIT_S: Final = 1e-6
LEAST_RETRY_S: Final = 0.1  # nobody is asked to come back sooner
UNMEASURED_S: Final = 5.0  # what is usual of endpoints says little of these: whoever comes back then will know more
DOUBT: Final = 2.0  # a mean of the last answers may be off by that

log = logging.getLogger(__name__)


class Batcher:
    """Gives each query its slot. `running` decides for as long as it is open."""

    def __init__(
        self,
        fleet: Fleet,
        decider: Decider,
        book: LoadBook,
        *,
        promises: Promises,
        health: Health,
        metrics: Metrics,
        window: Window,
        max_waiting: int,
        now: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._decider = decider
        self._book = book
        self._promises = promises
        self._health = health
        self._metrics = metrics
        self._now = now
        self._appointments = Appointments()
        self._line: Line[Placement] = Line(window, max_waiting, prospects=self, now=now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._decide_for_ever()), group.create_task(self._listen_for_room())]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                self._decider.close()

    @property
    def waiting(self) -> int:
        """Queries that wait for a decision or for room."""
        return len(self._line)

    @property
    def oldest_s(self) -> float:
        """How long the query that waits longest has waited; 0 when nobody does."""
        return max((self._now() - waiter.query.arrived_at for waiter in self._line), default=0.0)

    async def place(self, decision: Decision, *, excluded: tuple[int, ...] = ()) -> Placement:
        """A slot for the query. Enter its reservation at once: leaving that frees the slot.

        Args:
            decision: the query's story so far; what is estimated and decided is written into it.
            excluded: endpoints, by index, that failed it already.

        Raises:
            NoHeadroomError: its endpoints stayed full until its deadline, or too many wait.
            NoHealthyEndpointError: all of them are down.
            NoCapableModelError: nobody is expected to stay under the cost that it allows.
        """
        placement = None
        if decision.query.target in self._fleet.model_index and not self._line:
            placement = await self._decider.pinned(decision, excluded)
        if placement is None:
            placement = await self._stand_in_line(decision, excluded)
        return placement

    async def _stand_in_line(self, decision: Decision, excluded: tuple[int, ...]) -> Placement:
        waiter = self._line.join(decision, excluded)
        self._appointments.came(admitted=True)
        self._metrics.waiting.set(len(self._line))
        try:
            return await waiter.placed
        except asyncio.CancelledError:
            await _give_back(waiter.placed)
            raise
        finally:
            self._line.leave(waiter)
            self._metrics.waiting.set(len(self._line))

    async def _listen_for_room(self) -> None:
        heard = self._book.releases
        while True:
            await self._line.someone_held()
            await self._book.freed(heard)
            heard = self._book.releases
            self._line.room()

    async def _decide_for_ever(self) -> None:
        while True:
            await self._line.until_due(self._health.next_change)
            batch = self._line.take()
            if batch:
                await self._decide(batch)

    async def _decide(self, batch: list[Waiter[Placement]]) -> None:
        try:
            verdicts = await self._decider.decide(batch)
        except Exception:
            log.exception(
                "a batch of %d could not be decided", len(batch)
            )  # our fault: its members are told, others go on
            for waiter in batch:
                if not waiter.placed.done():
                    waiter.placed.set_exception(GatewayError("the decision failed; the log says why"))
            return
        for verdict in verdicts:
            await self._tell(verdict)
        await asyncio.sleep(0)  # whoever has its slot goes on first: what is left to do here can wait
        await self._promises.decided([verdict.placement.decision for verdict in verdicts if verdict.placement])
        held = sum(1 for waiter in self._line if waiter.decision.times_held)
        self._line.settle(held)
        if not held:
            self._appointments.clear()

    async def _tell(self, verdict: Verdict) -> None:
        placed = verdict.waiter.placed
        if verdict.placement is not None:
            if placed.done():  # it has gone: its slot goes back
                async with verdict.placement.reservation:
                    return
            placed.set_result(verdict.placement)
        elif not placed.done() and (refusal := self._refusal(verdict)) is not None:
            placed.set_exception(refusal)

    def _refusal(self, verdict: Verdict) -> GatewayError | None:
        """Why waiting would not help; None when it may."""
        if verdict.too_dear:
            message = "no allowed model is expected to cost at most routing.max_cost_usd"
            return NoCapableModelError(message, param="routing.max_cost_usd")
        if self._health.all_well:
            return None
        now, waiter = self._now(), verdict.waiter
        mine = [index for index in self._fleet.endpoints_of(waiter.query.models) if index not in waiter.excluded]
        if all(self._health.is_down(index, now) for index in mine):
            names = ", ".join(self._fleet.endpoints[index].name for index in mine)
            wait = min(self._health.wait(index, now) for index in mine)
            return NoHealthyEndpointError(f"every endpoint that could answer is down: {names}", retry_after=wait)
        return None

    def hopeless(self, query: Query, ahead: int) -> bool:
        """Whether it surely runs out of time behind so many: at the pace seen so far, and at twice that pace too."""
        mine = self._fleet.endpoints_of(query.models)
        left = query.deadline_at - self._now()
        return self._health.paces.known(mine) and self._wait_for(mine, ahead) > DOUBT * left

    def refusal(self, query: Query, ahead: int, reason: str) -> NoHeadroomError:
        """Says which endpoints are full, and when one may be expected to free for whoever has so many before it.

        Those who were told before it to come back are before it, too. Until enough answers have been seen nobody knows
        how fast places come free: then nobody is sent away for long.
        """
        mine = self._fleet.endpoints_of(query.models)
        soonest = max(LEAST_RETRY_S, self._wait_for(mine, ahead))
        self._appointments.came(admitted=False)
        if any(self._health.paces.known((index,)) for index in mine):
            wait = self._appointments.give(
                query.models,
                query.preferences.priority,
                soonest=soonest,
                between=self._between(mine),
                now=self._now(),
            )
        else:
            wait = min(soonest, max(UNMEASURED_S, self._opens_in(mine)))
        names = ", ".join(self._fleet.endpoints[index].name for index in mine)
        message = f"{reason}: {names} full; room is expected in about {wait:.1f} s"
        return NoHeadroomError(message, retry_after=wait)

    def _wait_for(self, endpoints: Sequence[int], ahead: int) -> float:
        """Seconds until these endpoints have freed a slot for each of so many and one more."""
        return max(self._opens_in(endpoints), (ahead + 1) * self._between(endpoints))

    def _opens_in(self, endpoints: Sequence[int]) -> float:
        """Seconds until a breaker lets queries through to one of these."""
        now = self._now()
        return min((self._health.wait(index, now) for index in endpoints), default=1.0)

    def _between(self, endpoints: Sequence[int]) -> float:
        """Seconds between two slots that any of these frees."""
        between = self._health.paces.slot_wait(self._now())
        slots_per_second = sum(1 / max(LEAST_WAIT_S, float(between[index])) for index in endpoints)
        return 1 / slots_per_second if endpoints else 1.0


async def _give_back(placed: asyncio.Future[Placement]) -> None:
    """A slot that was granted in the moment in which its query left."""
    if placed.done() and not placed.cancelled() and placed.exception() is None:
        async with placed.result().reservation:
            pass
