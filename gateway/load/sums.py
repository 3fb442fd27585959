"""Sums over about the last 2,000 queries, from which each replica derives what it needs: here or shared.

A sum is a field of a small mapping. Its field `n`, the number of queries, drives the forgetting: adding a delta first
multiplies every field by exp(-delta[n] / 2000). What a replica derives from the sums it never stores.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY_QUERIES = 2000.0
COUNT = "n"


class SumsStore(Protocol):
    """Sums by key. Neither call ever fails, or waits for more than a fraction of a second."""

    async def add(self, key: str, delta: Mapping[str, float]) -> None:
        """Adds to the fields; those that are new begin at 0."""

    async def read(self, key: str) -> Mapping[str, float]:
        """The sums, as far as known here; nothing for a key that nobody has added to."""


class Sums:
    """One key's: the sums themselves, or a delta that gathers others. Plain synchronous code."""

    def __init__(self) -> None:
        self.fields: dict[str, float] = {}
        self.queries = 0.0  # added, not forgotten

    def add(self, delta: Mapping[str, float], queries: float | None = None) -> None:
        """Forgets by so many queries, by default the delta's own, then adds."""
        queries = delta.get(COUNT, 0.0) if queries is None else queries
        fade = exp(-queries / MEMORY_QUERIES)
        fields = self.fields
        for field in fields:
            fields[field] *= fade
        for field, amount in delta.items():
            fields[field] = fields.get(field, 0.0) + amount
        self.queries += queries


class MemorySums:
    """The sums of a single process."""

    def __init__(self) -> None:
        self._sums: dict[str, Sums] = {}

    async def add(self, key: str, delta: Mapping[str, float]) -> None:
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = Sums()
        sums.add(delta)

    async def read(self, key: str) -> Mapping[str, float]:
        sums = self._sums.get(key)
        return {} if sums is None else dict(sums.fields)

    def all(self) -> dict[str, dict[str, float]]:
        """Every key's, as they stand."""
        return {key: dict(sums.fields) for key, sums in self._sums.items()}

    def restore(self, kept: Mapping[str, Mapping[str, float]]) -> None:
        """Takes them up again, without forgetting."""
        for key, fields in kept.items():
            sums = self._sums.setdefault(key, Sums())
            sums.fields.update(fields)
