"""What the endpoints have shown lately: whether to send there, and how long an answer takes. Never edits the load."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.breaker import Breaker, BreakerRules, State
from gateway.core.capacity import Headroom, eased, limits
from gateway.core.paces import Paces
from gateway.core.retries import RetryBudget
from gateway.errors import UpstreamBusyError, UpstreamCredentialsError, UpstreamRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from gateway.core.breaker import Pass
    from gateway.core.fleet import Fleet
    from gateway.core.problem import Bools, Ints
    from gateway.errors import UpstreamError


class Health:
    """One breaker per endpoint, by the fleet's index. Times are the loop's."""

    def __init__(self, fleet: Fleet, now: Callable[[], float], rules: BreakerRules | None = None) -> None:
        self._now = now
        self._index = fleet.endpoint_index
        self._breakers = [Breaker(rules or BreakerRules()) for _ in fleet.endpoints]
        self._unwell: set[int] = set()  # not plainly closed, as far as is known
        self._everyone = np.ones(len(fleet.endpoints), dtype=np.bool_)
        self._whole = limits([endpoint.capacity for endpoint in fleet.endpoints])
        self.paces = Paces(fleet.endpoints)
        self.retries = RetryBudget()

    def inherit(self, before: Health, names: Collection[str]) -> None:
        """Goes on with the breakers of these endpoints, which are the same as before."""
        for name in names:
            here, there = self._index[name], before._index[name]
            self._breakers[here] = before._breakers[there]
            if there in before._unwell:
                self._unwell.add(here)
        self.paces.inherit(before.paces, names)
        self.retries = before.retries

    @property
    def all_well(self) -> bool:
        """Whether nothing is known against any endpoint."""
        return not self._unwell

    def open(self, now: float) -> Bools:
        """(E,) which endpoints may be sent to."""
        if not self._unwell:
            return self._everyone
        verdict = self._everyone.copy()
        for index in self._unwell:
            verdict[index] = self._breakers[index].allows(now)
        return verdict

    def probes_first(self, room: Ints, indices: NDArray[np.intp], now: float) -> Ints:
        """The room of these endpoints, (n,): of those alone that may be well again and want a query to show it, if any.

        A probe is one place, which never is the most room.
        """
        probes = np.zeros_like(room)
        for position, index in enumerate(indices.tolist() if self._unwell else ()):
            if self._breakers[index].state(now) is State.HALF_OPEN and self._breakers[index].allows(now):
                probes[position] = room[position]
        return probes if probes.any() else room

    def eased(self, free: Headroom, now: float) -> Headroom:
        """The headroom less what a recovering endpoint should not be given yet; a probe is one query."""
        if not self._unwell:
            return free
        share = np.ones(len(self._breakers))
        for index in tuple(self._unwell):
            state = self._breakers[index].state(now)
            share[index] = self._breakers[index].share(now) if state is State.CLOSED else np.finfo(float).tiny
            if share[index] == 1.0:
                self._unwell.discard(index)
        return eased(free, self._whole, share)

    def next_change(self, now: float) -> float:
        """When an endpoint that is not to be tried now may be tried again; infinite when there is none."""
        waits = [self._breakers[index].wait(now) for index in self._unwell]
        return now + min((wait for wait in waits if wait > 0), default=inf)

    def wait(self, index: int, now: float) -> float:
        """Seconds until it may be tried."""
        return self._breakers[index].wait(now)

    def is_down(self, index: int, now: float) -> bool:
        """Whether it is broken, not merely busy."""
        return self._breakers[index].state(now) is State.OPEN

    def state(self, index: int) -> State:
        return self._breakers[index].state(self._now())

    def admit(self, index: int) -> Pass | None:
        """Leave to send one query there now."""
        leave = self._breakers[index].admit(self._now())
        if leave is None:  # a query of the configuration before this one may have shown it
            self._unwell.add(index)
        return leave

    def abandoned(self, index: int, leave: Pass) -> None:
        """The client left before the endpoint showed how it is."""
        self._breakers[index].abandoned(leave, self._now())

    def answered(self, index: int, leave: Pass) -> None:
        self._breakers[index].served(leave, self._now())

    def failed(self, index: int, leave: Pass, error: UpstreamError) -> str:
        """Notes a failed attempt; what to call it."""
        breaker, now = self._breakers[index], self._now()
        if isinstance(error, UpstreamRejectedError):
            breaker.served(leave, now)  # it is well: the query was not
            return "rejected"
        self._unwell.add(index)
        if isinstance(error, UpstreamBusyError):
            breaker.limited(leave, now, error.retry_after)
            return "busy"
        if isinstance(error, UpstreamCredentialsError):
            breaker.refused(leave, now)
        else:
            breaker.failed(leave, now)
        return "failed"
