"""Feedback: finds the decision, in memory or in the log, and takes its score once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import FeedbackConflictError, LogUnavailableError, NotFoundError
from gateway.feedback.row import Mark, scored

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.feedback.recent import DecisionLog
    from gateway.feedback.row import Scored
    from gateway.feedback.writer import Writer


class Scoring:
    """The first score of a decision stays: the same again changes nothing, another one is refused.

    Where several replicas share a log, it decides which came first.
    """

    def __init__(self, recent: DecisionLog, writer: Writer | None, wall: Callable[[], float]) -> None:
        self._recent = recent
        self._writer = writer
        self._wall = wall

    async def take(
        self, decision_id: str, score: float, comment: str | None = None, whose: str | None = None
    ) -> Scored | None:
        """What the score is about; None when it was given before and nothing is to be counted.

        Args:
            decision_id: of a decision of the key `whose`; of any when that is None.
            score: 0..1.
            comment: kept beside it.
            whose: a key's name.

        Raises:
            NotFoundError: the decision is not kept, or another key's, or nobody answered it.
            FeedbackConflictError: another score was given before.
            LogUnavailableError: the decision is not in memory, and the log's database does not answer.
        """
        about = await self._about(decision_id)
        if about is None or not about.model or whose not in (None, about.key):
            raise no_decision(decision_id)
        before = self._recent.score(decision_id)
        if before is None:
            before = await self._marked(Mark(decision_id, score, comment, self._wall()))
        if before is None:
            before = self._recent.keep_score(decision_id, score)
        else:
            self._recent.keep_score(decision_id, before)
        if before is None:
            return about
        if before != score:
            raise FeedbackConflictError(f"the decision was given the score {before:g} before", param="score")
        return None

    async def _about(self, decision_id: str) -> Scored | None:
        decision = self._recent.find(decision_id)
        if decision is not None:
            return scored(decision)
        return None if self._writer is None else await self._writer.scored(decision_id)

    async def _marked(self, mark: Mark) -> float | None:
        """The score that the log has already. A log that fails is no reason to lose feedback on what is in memory."""
        if self._writer is None:
            return None
        try:
            return await self._writer.mark(mark)
        except LogUnavailableError:
            if self._recent.find(mark.decision_id) is None:
                raise
            return None


def no_decision(decision_id: str) -> NotFoundError:
    return NotFoundError(f"no decision {decision_id[:64]!r} is kept here", param="decision_id")
