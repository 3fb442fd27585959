"""The load book as one configuration sees it: its own endpoints, in its own order, whatever else the book holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.capacity import Headroom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.domain import Capacity
    from gateway.load.base import Claim, Foreign, LoadBook, Remaining


class FleetView:
    """After a reload the queries of the configuration before it still hold slots, and some wait for one.

    An endpoint of this view that the book has no more is full.
    """

    def __init__(self, book: LoadBook, endpoints: Sequence[str]) -> None:
        self._book = book
        self.endpoints = tuple(endpoints)

    @property
    def shared(self) -> bool:
        return self._book.shared

    @property
    def releases(self) -> int:
        return self._book.releases

    async def headroom(self) -> Headroom:
        whole = await self._book.headroom()
        theirs = self._book.endpoints
        if theirs == self.endpoints:
            return whole
        places = {name: index for index, name in enumerate(theirs)}
        index = np.array([places.get(name, -1) for name in self.endpoints], dtype=np.intp)
        fields = (whole.slots, whole.requests, whole.tokens, whole.kv)
        return Headroom(*(np.where(index < 0, 0, field[index]) for field in fields))

    async def reserve(self, claims: Sequence[Claim]) -> Sequence[bool]:
        return await self._book.reserve(claims)

    async def release(self, lease_id: str, *, used_tokens: int | None = None) -> None:
        await self._book.release(lease_id, used_tokens=used_tokens)

    async def freed(self, since: int | None = None) -> None:
        await self._book.freed(since)

    async def held(self) -> dict[str, int]:
        return await self._book.held()

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        self._book.reconfigure(capacities)

    def correct(self, endpoint: str, reported: Foreign | Remaining) -> None:
        self._book.correct(endpoint, reported)
