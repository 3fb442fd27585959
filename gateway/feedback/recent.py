"""The last decisions and their scores: bounded, in memory, for GET /v1/decisions and for feedback that comes soon."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.decision import Decision


class DecisionLog:
    """The last decisions by id. The oldest leave first, their scores with them."""

    def __init__(self, size: int) -> None:
        self._size = size
        # a plain dict looks for its oldest among all that have left since it last grew
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self._scores: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._decisions)

    def open(self, decision: Decision) -> None:
        """A query has been admitted."""
        self._decisions[decision.query.id] = decision
        if len(self._decisions) > self._size:
            oldest, _ = self._decisions.popitem(last=False)
            self._scores.pop(oldest, None)

    def find(self, decision_id: str) -> Decision | None:
        return self._decisions.get(decision_id)

    def score(self, decision_id: str) -> float | None:
        """What was given for it; None for nothing, or when it is not kept here."""
        return self._scores.get(decision_id)

    def keep_score(self, decision_id: str, score: float) -> float | None:
        """The score that was there before, which stays; None when this is the first, or the decision is not here."""
        before = self._scores.get(decision_id)
        if before is None and decision_id in self._decisions:
            self._scores[decision_id] = score
        return before

    def recent(self, count: int, key: str | None = None) -> list[Decision]:
        """The newest first, of one key's or of all."""
        newest = (each for each in reversed(self._decisions.values()) if key is None or each.query.key == key)
        return list(islice(newest, count))
