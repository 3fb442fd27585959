"""Load is a set of named leases. What a load book promises, whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from gateway.core.capacity import UNLIMITED, Headroom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.domain import Capacity

__all__ = ["UNLIMITED", "Claim", "Foreign", "Headroom", "LoadBook", "Remaining"]


class Claim(msgspec.Struct, frozen=True):
    """A wish for one slot: who asks, where, and how many tokens it may hold (input + expected output)."""

    lease_id: str  # unique per attempt; releasing it twice is harmless
    endpoint: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """Load that an endpoint reports and that is not ours. It narrows what is offered, never what is held."""

    slots: int = 0  # queries in flight there
    kv: int = 0  # tokens held there
    until: float = float("inf")  # seconds of the book's clock; from then on it is stale and ignored


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to us of an endpoint's own rates, as it says. Counts down with each lease that is taken here."""

    requests: int | None = None  # None: it did not say
    tokens: int | None = None
    requests_until: float = float("inf")  # seconds of the book's clock; from then on it is stale and ignored
    tokens_until: float = float("inf")


class LoadBook(Protocol):
    """The only owner of load. Counts nothing twice, forgets the dead, never goes below zero."""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names, in the order of every array."""

    @property
    def shared(self) -> bool:
        """Whether the view is that of all replicas; always so where there is only one."""

    @property
    def releases(self) -> int:
        """How often room may have come so far. Read it before `reserve` and hand it to `freed` to miss none."""

    async def headroom(self) -> Headroom:
        """What is free now, as shared by all replicas."""

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Takes a lease for each claim that still fits, in order, in one step; the verdicts, one per claim.

        Refused are also an endpoint that is not in the book (any more) and a lease id that is held already.
        Cancelled while it waits, it holds nothing.
        """

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        """Frees the lease, and corrects the token rate by what was really used. Harmless when it is not held.

        Takes effect before it first waits: whoever is cancelled inside has released all the same.
        """

    async def freed(self, since: int | None = None) -> None:
        """Returns when it is worth trying again: a lease was released, here or in another replica, or time made room.

        `since` is a value of `releases`; what came after it counts. None counts from this call on.
        """

    async def held(self) -> dict[str, int]:
        """Leases per endpoint, over all replicas: for metrics and tests."""

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        """Other endpoints or limits from now on. Leases stay held, those of endpoints that are gone included."""

    def correct(self, endpoint: str, reported: Foreign | Remaining) -> None:
        """Replaces what the endpoint reported of this kind. An endpoint that is not in the book is ignored."""
