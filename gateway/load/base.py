"""Load is a set of named leases. What a load book promises, whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNLIMITED = np.int64(2**40)  # room of a row without a limit; sums of many stay far from the end of int64


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish for one slot: who asks, where, and how many tokens it may hold (input + expected output)."""

    lease_id: str  # unique per attempt; releasing it twice is harmless
    endpoint: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Headroom:
    """What is free now, per endpoint in the book's order: capacity less what is held.

    Each field is (E,) int64, never negative, `UNLIMITED` where there is no limit.
    """

    slots: NDArray[np.int64]
    requests: NDArray[np.int64]  # left of requests per minute
    tokens: NDArray[np.int64]  # left of tokens per minute
    kv: NDArray[np.int64]  # tokens that may still be held at once


class LoadBook(Protocol):
    """The only owner of load. Counts nothing twice, forgets the dead, never goes below zero."""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Names, in the order of every array."""

    async def headroom(self) -> Headroom:
        """What is free now, as shared by all replicas."""

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Takes a lease for each claim that still fits, in order, in one step; the verdicts, one per claim."""

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        """Frees the lease, and corrects the token rate by what was really used. Harmless when it is not held."""

    async def freed(self) -> None:
        """Returns after some lease has been released, here or in another replica, since this call began."""

    async def held(self) -> dict[str, int]:
        """Leases per endpoint, over all replicas: for metrics and tests."""
