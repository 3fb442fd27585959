"""The load book of a single process. It never suspends but in `freed`, so every other call is one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.load.ledger import FOREVER, Ledger
from gateway.load.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.domain import Capacity
    from gateway.load.base import Claim, Foreign, Headroom, Remaining


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
        self._waiters = Waiters()

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self._ledger.endpoints

    @property
    def shared(self) -> bool:
        return True

    @property
    def releases(self) -> int:
        return self._waiters.wakes

    async def headroom(self) -> Headroom:
        return self._ledger.headroom(self._now())

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        now = self._now()
        return [self._ledger.take(claim, now) for claim in claims]

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        if self._ledger.drop(lease_id, used_tokens) is not None:
            self._waiters.wake()

    async def freed(self, since: int | None = None) -> None:
        heard = self._waiters.wakes if since is None else since
        now = self._now()  # may end leases
        if heard == self._waiters.wakes:
            self._waiters.wake_in(self._ledger.changes_in(now))
            await self._waiters.wait()

    async def held(self) -> dict[str, int]:
        self._now()
        return self._ledger.held()

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        self._ledger.reconfigure(capacities)
        self._waiters.wake()

    def correct(self, endpoint: str, reported: Foreign | Remaining) -> None:
        self._ledger.correct(endpoint, reported)
        self._waiters.wake()

    def _now(self) -> float:
        now = self._clock()
        if self._expiring and self._ledger.expire(now):
            self._waiters.wake()
        return now
