"""The decision log: bounded, in memory, for GET /v1/decisions and for feedback that comes later."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.decision import Decision


class DecisionLog:
    """The last decisions by id. The oldest leave first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._decisions: dict[str, Decision] = {}

    def __len__(self) -> int:
        return len(self._decisions)

    def open(self, decision: Decision) -> None:
        """A query has been admitted."""
        self._decisions[decision.query.id] = decision
        if len(self._decisions) > self._size:
            del self._decisions[next(iter(self._decisions))]

    def find(self, decision_id: str) -> Decision | None:
        return self._decisions.get(decision_id)

    def recent(self, count: int, key: str | None = None) -> list[Decision]:
        """The newest first, of one key's or of all."""
        newest = (each for each in reversed(self._decisions.values()) if key is None or each.query.key == key)
        return list(islice(newest, count))
