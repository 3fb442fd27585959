"""One decision as the log keeps it, and one score that is to be joined to it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gateway.core.story import written

if TYPE_CHECKING:
    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.domain import Query

Row = dict[str, Any]  # by column


@dataclass(frozen=True, slots=True)
class Ended:
    """A settled decision on its way to the log."""

    decision: Decision
    query: Query  # as it was asked: the decision's has no text any more
    fleet: Fleet  # whose indices its arrays have
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Mark:
    """Feedback on its way to the log."""

    decision_id: str
    score: float
    comment: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Scored:
    """What feedback on a decision is about."""

    key: str  # whose it is: a name, never the secret
    target: str
    model: str
    predicted: float  # quality, as it was promised
    estimated: float | None  # as it was estimated, before feedback's correction; None: its model was named


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision as it was kept."""

    key: str
    story: str  # core/story.py


def scored(decision: Decision) -> Scored:
    """Of a decision in memory."""
    estimate = decision.estimate.quality
    return Scored(
        decision.query.key,
        decision.query.target,
        decision.model,
        decision.expected.quality,
        float(estimate[decision.column]) if len(estimate) else None,
    )


def row(ended: Ended, *, score: float | None, prompts: bool) -> Row:
    """The columns of a settled decision.

    Args:
        ended: it.
        score: what feedback said while it was on its way here.
        prompts: whether the prompt itself is kept; its hash always is.
    """
    decision = ended.decision
    query, about, usage = ended.query, scored(decision), decision.usage
    return {
        "id": query.id,
        "at": ended.at,
        "key": about.key,
        "target": about.target,
        "model": about.model,
        "endpoint": decision.endpoint,
        "outcome": decision.outcome.value if decision.outcome else "",
        "estimated_quality": about.estimated,
        "predicted_quality": about.predicted,
        "predicted_cost_usd": decision.expected.cost_usd,
        "cost_usd": decision.cost_usd,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "total_s": decision.total_s,
        "prompt_hash": sha256(query.messages + b"\0" + query.tools).hexdigest(),
        "messages": query.messages.decode(errors="replace") if prompts else None,
        "tools": query.tools.decode(errors="replace") if prompts and query.tools else None,
        "story": written(decision, ended.fleet),
        "score": score,
        "scored_at": None if score is None else ended.at,
        "comment": None,
    }
