"""The load book that replicas share. Redis keeps the leases; each replica keeps its own ones too, and can go on alone.

One task talks to Redis, one exchange at a time: what comes up during an exchange travels together in the next, so a
batch of claims is one round trip and a busy replica needs no more connections than an idle one.

While Redis is away (`shared` is False) a replica takes at most ceil(capacity / replicas last seen) per endpoint, from
its own ledger, at once. A query never hears of it.
"""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from gateway.load.courier import Courier, Unobserved
from gateway.load.exchange import Names
from gateway.load.ledger import Ledger
from gateway.load.outbox import Outbox
from gateway.load.redis_link import RedisLink
from gateway.load.redis_sums import RedisSums
from gateway.load.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from gateway.core.capacity import Headroom
    from gateway.domain import Capacity
    from gateway.load.base import Claim, Foreign, Remaining
    from gateway.load.courier import Observer
    from gateway.load.doubt import Doubt

LEASE_S = 15.0
BUDGET_S = 0.05  # for one exchange; a query must not feel more of a stalled Redis than this, and that only once


class RedisLoadBook:
    """Leases in Redis or Valkey, for any number of replicas. Works inside `async with book:`.

    Args:
        capacities: what each endpoint can take, in the order of the arrays.
        url: see RedisLink; it need not answer, now or later.
        clock: the loop's own; rates of the local view go by it.
        prefix: of all keys; one per deployment.
        lease_s: after which the leases of a replica that died are free again.
        budget_s: what one exchange may take.
        observer: told of every exchange and of every change of the view.
        doubt: shared with whoever else talks to that server for the same queries.
    """

    def __init__(
        self,
        capacities: Mapping[str, Capacity],
        url: str,
        clock: Callable[[], float],
        *,
        prefix: str = "paretogate",
        lease_s: float = LEASE_S,
        budget_s: float = BUDGET_S,
        observer: Observer | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        names = Names(prefix, secrets.token_hex(6))
        self._ledger = Ledger(capacities)
        self._waiters = Waiters()
        self._outbox = Outbox(self._ledger, names, clock, self._waiters)
        self._courier = Courier(
            self._outbox,
            names,
            RedisLink(url, budget_s, doubt),
            RedisLink(url, budget_s),
            lease_s=lease_s,
            observer=observer or Unobserved(),
        )
        self.sums = RedisSums(url, prefix, budget_s)  # shared by the same replicas, through a connection of its own
        self._stack = AsyncExitStack()

    @property
    def shared(self) -> bool:
        """Whether decisions rest on what all replicas hold."""
        return self._outbox.shared

    @property
    def replicas(self) -> int:
        """How many share the book, as last seen."""
        return self._outbox.replicas

    @property
    def endpoints(self) -> tuple[str, ...]:
        return self._ledger.endpoints

    @property
    def releases(self) -> int:
        return self._waiters.wakes

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._courier.running())
        await self._stack.enter_async_context(self.sums.running())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)
        self._waiters.close()

    async def headroom(self) -> Headroom:
        return (await self._outbox.look()).headroom

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        return await self._outbox.wish(claims)

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        self._outbox.end(lease_id, used_tokens)

    async def freed(self, since: int | None = None) -> None:
        if since is None or since == self._waiters.wakes:
            self._outbox.arm()
            await self._waiters.wait()

    async def held(self) -> dict[str, int]:
        return (await self._outbox.look()).held

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        self._ledger.reconfigure(capacities)
        self._waiters.wake()

    def correct(self, endpoint: str, reported: Foreign | Remaining) -> None:
        self._ledger.correct(endpoint, reported)
        self._waiters.wake()
