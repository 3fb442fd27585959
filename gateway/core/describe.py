"""A decision as plain values, for GET /v1/decisions and for `explain`: numbers, and the reasons in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.decision import slot_price_usd
from gateway.core.problem import NANO

if TYPE_CHECKING:
    from gateway.core.decision import Batch, Decision
    from gateway.core.fleet import Fleet

Plain = dict[str, object]

MILLI = 1000


def describe(decision: Decision, fleet: Fleet) -> Plain:
    """Everything that is known of a decision now. No text of the query is in it."""
    query = decision.query
    return {
        "id": query.id,
        "object": "decision",
        "target": query.target,
        "model": decision.model or None,
        "endpoint": decision.endpoint or None,
        "outcome": decision.outcome.value if decision.outcome else None,
        "error": decision.error or None,
        "predicted": _predicted(decision),
        "actual": _actual(decision),
        "estimates": _estimates(decision, fleet),
        "source": decision.estimate.source.value,
        "terms": _terms(decision),
        "endpoints": _endpoints(decision, fleet),
        "solve": _solve(decision.batch) if decision.batch else None,
        "words": words(decision, fleet),
        "attempts": [
            {"endpoint": each.endpoint, "result": each.result, "message": each.message} for each in decision.attempts
        ],
        "times_held": decision.times_held,
        "overhead_ms": decision.watch.total * MILLI,
        "parts_ms": {part: seconds * MILLI for part, seconds in decision.watch.parts.items()},
        "tags": dict(query.preferences.tags),
    }


def words(decision: Decision, fleet: Fleet) -> list[str]:
    """Why it came out so, one sentence a reason."""
    said = []
    if decision.below_floor:
        said.append("no model was expected to reach routing.min_quality; the best estimate serves")
    if decision.ask is None and decision.model:
        said.append(f"{decision.model} was named and {decision.endpoint} had room")
    if decision.times_held:
        said.append(f"it waited for room {decision.times_held} times")
    batch = decision.batch
    if batch is None:
        return said
    for index in np.flatnonzero(_full(batch)).tolist():
        name, saving = fleet.endpoints[index].name, slot_price_usd(batch, index)
        wanted, slots = int(batch.demand[index]), int(batch.slots[index])
        worth = f"; one more slot there would have saved {saving * MILLI:.3f} m$" if saving > 0 else ""
        said.append(f"{name} was full: {wanted} of {batch.size} queries wanted it and {slots} slots were free{worth}")
    return said


def _full(batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(E,) wanted by more than there was room for."""
    full: np.ndarray[tuple[int], np.dtype[np.bool_]] = (batch.demand > batch.slots) & batch.healthy
    return full


def _predicted(decision: Decision) -> Plain | None:
    if not decision.model:
        return None
    return {"quality": decision.expected.quality, "cost_usd": decision.expected.cost_usd}


def _actual(decision: Decision) -> Plain | None:
    usage = decision.usage
    if usage is None:
        return None
    return {
        "cost_usd": decision.cost_usd,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "estimated": usage.estimated,
        "first_byte_s": decision.first_byte_s,
        "total_s": decision.total_s,
    }


def _estimates(decision: Decision, fleet: Fleet) -> list[Plain]:
    estimate = decision.estimate
    if not len(estimate.quality):
        return []
    return [
        {
            "model": model.name,
            "admitted": model.name in decision.query.models,
            "quality": float(estimate.quality[column]),
            "quality_sd": float(estimate.quality_sd[column]),
            "input_tokens": float(estimate.input_tokens[column]),
            "output_tokens": float(estimate.output_tokens[column]),
            "cost_usd": float(estimate.cost_usd[column]),
        }
        for column, model in enumerate(fleet.models)
    ]


def _terms(decision: Decision) -> Plain | None:
    ask = decision.ask
    if ask is None:
        return None
    return {
        "multiplier_usd": ask.multiplier,
        "bias": ask.bias,
        "risk": ask.risk,
        "usd_per_second": ask.usd_per_second,
        "min_quality": ask.floor or None,
        "below_floor": decision.below_floor,
    }


def _endpoints(decision: Decision, fleet: Fleet) -> list[Plain]:
    batch, score, allowed = decision.batch, decision.score_usd, decision.allowed
    if batch is None or score is None or allowed is None or decision.ask is None:
        return []
    chosen = fleet.endpoint_index.get(decision.endpoint)
    full = _full(batch)
    return [
        {
            "endpoint": endpoint.name,
            "model": endpoint.model,
            "score_usd": float(score[index]),
            "free_slots": int(batch.slots[index]),
            "wanted_by": int(batch.demand[index]),
            "slot_price_usd": slot_price_usd(batch, index),
            "verdict": _verdict(decision, index, chosen=index == chosen, full=bool(full[index])),
        }
        for index, endpoint in enumerate(fleet.endpoints)
    ]


def _verdict(decision: Decision, index: int, *, chosen: bool, full: bool) -> str:
    batch, ask, allowed = decision.batch, decision.ask, decision.allowed
    if batch is None or ask is None or allowed is None:
        return "not weighed"
    if chosen:
        return "chosen"
    if index in ask.excluded:
        return "failed this query before"
    if not batch.healthy[index]:
        return "unhealthy"
    if not allowed[index]:
        return "not admitted"
    return "full" if full else "scored worse"


def _solve(batch: Batch) -> Plain:
    return {
        "step": batch.step,
        "queries": batch.size,
        "held": batch.held,
        "objective_usd": batch.objective / NANO,
        "bound_usd": batch.bound / NANO,
        "gap": batch.gap,
        "joint_gain_usd": batch.gain / NANO,
    }
