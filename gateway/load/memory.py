"""The load book of a single process. It never suspends but in `freed`, so every other call is one step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.load.ledger import FOREVER, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.domain import Capacity
    from gateway.load.base import Claim, Headroom


class MemoryLoadBook:
    """Leases in memory. They end with `release`; with a `lease_s` they also end by themselves after that time.

    Args:
        capacities: what each endpoint can take, in the order of the arrays.
        clock: seconds, never backwards; the loop's own, unless a test hands another.
        lease_s: longest life of a lease. Without one, only whoever holds it can end it, which is enough where
            holders and book live and die together.
    """

    def __init__(
        self, capacities: Mapping[str, Capacity], clock: Callable[[], float], *, lease_s: float = FOREVER
    ) -> None:
        self._ledger = Ledger(capacities, lease_s)
        self._clock = clock
        self._expiring = lease_s < FOREVER
        self._releases = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self._ledger.endpoints

    @property
    def releases(self) -> int:
        return self._releases

    async def headroom(self) -> Headroom:
        return self._ledger.headroom(self._now())

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        now = self._now()
        return [self._ledger.take(claim, now) for claim in claims]

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        if self._ledger.drop(lease_id, used_tokens) is not None:
            self._freed(1)

    async def freed(self, since: int | None = None) -> None:
        heard = self._releases if since is None else since
        now = self._now()  # may end leases
        if heard != self._releases:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        delay = self._ledger.changes_in(now)
        timer = loop.call_later(delay, _wake, waiter) if delay < FOREVER else None
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
            self._waiters.discard(waiter)

    async def held(self) -> dict[str, int]:
        self._now()
        return self._ledger.held()

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        self._ledger.reconfigure(capacities)
        self._freed(0)

    def _now(self) -> float:
        now = self._clock()
        if self._expiring:
            ended = self._ledger.expire(now)
            if ended:
                self._freed(ended)
        return now

    def _freed(self, ended: int) -> None:
        self._releases += ended
        if self._waiters:
            waiters, self._waiters = self._waiters, set()
            for waiter in waiters:
                _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():  # it may have gone
        waiter.set_result(None)
