"""Which model called which tool, as this process and the other replicas remember it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.loops import Loops, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain import Query
    from gateway.load.redis_loops import SharedLoops


class Callers:
    """This process' own memory first.

    Args:
        loops: what it remembers.
        shared: what all replicas do; None: there are no others.
    """

    def __init__(self, loops: Loops | None = None, shared: SharedLoops | None = None) -> None:
        self._loops = loops or Loops()
        self._shared = shared

    def model_of(self, query: Query) -> str | None:
        """Who must answer a query that brings results, as far as it is known here."""
        return self._loops.model_of(query)

    async def recall(self, query: Query) -> None:
        """Asks the other replicas who called the tools whose results this brings. Call it before it is admitted."""
        if self._shared is None or self._loops.model_of(query) is not None:
            return
        model = await self._shared.find(names_of(query, query.continues))
        if model is not None:
            self._loops.remember(query, query.continues, model)

    async def remember(self, query: Query, continuations: Sequence[str], model: str) -> None:
        """This model's answer can be gone on from by these ids, here or at another replica."""
        self._loops.remember(query, continuations, model)
        if self._shared is not None:
            await self._shared.note(names_of(query, continuations), model)
