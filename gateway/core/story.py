"""A decision as one compact text that outlives the process, and back: both are described in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway.core.decision import Attempt, Batch, Decision, Stopwatch
from gateway.core.describe import describe
from gateway.core.estimate import UNKNOWN, Estimate, Expected, Source
from gateway.core.fleet import Fleet
from gateway.core.placing import Ask
from gateway.domain import Capacity, Endpoint, Model, Outcome, Preferences, Price, Query, Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers = list[float | None]  # None: not a number


class _Batch(msgspec.Struct, array_like=True, frozen=True):
    slots: list[int]
    healthy: list[bool]
    demand: list[int]
    shadow: list[int]
    size: int
    held: int
    step: str
    objective: int
    bound: int
    gain: int
    gap: float


class _Ask(msgspec.Struct, array_like=True, frozen=True):
    multiplier: float
    bias: float
    risk: float
    usd_per_second: float
    floor: float
    excluded: tuple[int, ...]


class _Story(msgspec.Struct, array_like=True, frozen=True):
    """Arrays are in the order of the names that stand beside them."""

    models: list[str]
    endpoints: list[tuple[str, str]]  # name and model
    id: str
    target: str
    admitted: tuple[str, ...]
    tags: dict[str, str]
    model: str
    endpoint: str
    column: int
    outcome: Outcome | None
    error: str
    source: Source
    estimate: list[Numbers]  # quality, sd, input, output, cost; empty: there was nothing to compare
    expected: tuple[float, float, float, float]
    ask: _Ask | None
    batch: _Batch | None
    score_usd: Numbers | None
    allowed: list[bool] | None
    below_floor: bool
    times_held: int
    attempts: list[tuple[str, str, str]]
    parts: dict[str, float]
    usage: tuple[int, int, int, bool] | None
    cost_usd: float | None
    first_byte_s: float | None
    total_s: float | None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Story)


def written(decision: Decision, fleet: Fleet) -> str:
    """The story of a settled decision. No text of the query is in it."""
    estimate, expected = decision.estimate, decision.expected
    story = _Story(
        models=[model.name for model in fleet.models],
        endpoints=[(endpoint.name, endpoint.model) for endpoint in fleet.endpoints],
        id=decision.query.id,
        target=decision.query.target,
        admitted=decision.query.models,
        tags=dict(decision.query.preferences.tags),
        model=decision.model,
        endpoint=decision.endpoint,
        column=decision.column,
        outcome=decision.outcome,
        error=decision.error,
        source=estimate.source,
        estimate=_columns(estimate),
        expected=(expected.quality, expected.cost_usd, expected.input_tokens, expected.output_tokens),
        ask=_ask(decision.ask),
        batch=_batch(decision.batch),
        score_usd=None if decision.score_usd is None else decision.score_usd.tolist(),
        allowed=None if decision.allowed is None else decision.allowed.tolist(),
        below_floor=decision.below_floor,
        times_held=decision.times_held,
        attempts=[(each.endpoint, each.result, each.message) for each in decision.attempts],
        parts=decision.watch.parts,
        usage=_usage(decision.usage),
        cost_usd=decision.cost_usd,
        first_byte_s=decision.first_byte_s,
        total_s=decision.total_s,
    )
    return _ENCODER.encode(story).decode()


def told(text: str) -> dict[str, object]:
    """The description of the decision whose story this is, as it was given while the decision was in memory.

    Raises:
        ValueError: the text is no story.
    """
    story = _DECODER.decode(text)
    fleet = Fleet(
        [Model(name, Price(0.0, 0.0)) for name in story.models],
        [Endpoint(name, model, "", Capacity(1)) for name, model in story.endpoints],
        [],
    )
    return describe(_restored(story), fleet)


def _restored(story: _Story) -> Decision:
    watch = Stopwatch(0.0)
    watch.parts.update(story.parts)
    query = Query(
        id=story.id,
        target=story.target,
        models=story.admitted,
        messages=b"",
        preferences=Preferences(tags=story.tags),
    )
    return Decision(
        query=query,
        watch=watch,
        estimate=_estimate(story),
        expected=Expected(*story.expected),
        ask=None if story.ask is None else _asked(story.ask, len(story.models)),
        batch=None if story.batch is None else _batched(story.batch),
        score_usd=None if story.score_usd is None else _floats(story.score_usd),
        allowed=None if story.allowed is None else np.array(story.allowed, dtype=np.bool_),
        below_floor=story.below_floor,
        times_held=story.times_held,
        endpoint=story.endpoint,
        model=story.model,
        column=story.column,
        attempts=[Attempt(*each) for each in story.attempts],
        outcome=story.outcome,
        usage=None if story.usage is None else Usage(*story.usage),
        cost_usd=story.cost_usd,
        first_byte_s=story.first_byte_s,
        total_s=story.total_s,
        error=story.error,
    )


def _columns(estimate: Estimate) -> list[Numbers]:
    if not len(estimate.quality):
        return []
    return [
        estimate.quality.tolist(),
        estimate.quality_sd.tolist(),
        estimate.input_tokens.tolist(),
        estimate.output_tokens.tolist(),
        estimate.cost_usd.tolist(),
    ]


def _estimate(story: _Story) -> Estimate:
    if not story.estimate:
        return UNKNOWN
    quality, quality_sd, inputs, outputs, cost = map(_floats, story.estimate)
    return Estimate(quality, quality_sd, inputs, outputs, cost, story.source)


def _usage(usage: Usage | None) -> tuple[int, int, int, bool] | None:
    if usage is None:
        return None
    return usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.estimated


def _ask(ask: Ask | None) -> _Ask | None:
    if ask is None:
        return None
    return _Ask(ask.multiplier, ask.bias, ask.risk, ask.usd_per_second, ask.floor, ask.excluded)


def _asked(ask: _Ask, models: int) -> Ask:
    return Ask(
        models=np.ones(models, dtype=np.bool_),
        multiplier=ask.multiplier,
        bias=ask.bias,
        risk=ask.risk,
        usd_per_second=ask.usd_per_second,
        floor=ask.floor,
        excluded=ask.excluded,
    )


def _batch(batch: Batch | None) -> _Batch | None:
    if batch is None:
        return None
    return _Batch(
        batch.slots.tolist(),
        batch.healthy.tolist(),
        batch.demand.tolist(),
        batch.shadow.tolist(),
        batch.size,
        batch.held,
        batch.step,
        batch.objective,
        batch.bound,
        batch.gain,
        batch.gap,
    )


def _batched(batch: _Batch) -> Batch:
    return Batch(
        slots=np.array(batch.slots, dtype=np.int64),
        healthy=np.array(batch.healthy, dtype=np.bool_),
        demand=np.array(batch.demand, dtype=np.int64),
        shadow=np.array(batch.shadow, dtype=np.int64),
        size=batch.size,
        held=batch.held,
        step=batch.step,
        objective=batch.objective,
        bound=batch.bound,
        gain=batch.gain,
        gap=batch.gap,
    )


def _floats(values: Numbers) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
