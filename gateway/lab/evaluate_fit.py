"""Estimates for queries that the predictor has not learned from, ours and the baselines' side by side."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gateway.core.curve import Sample
from gateway.lab.baselines import Labelled, means, predict_baselines
from gateway.lab.folds import apart, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gateway.lab.frontier import Floats, Ints
    from predictors.base import HeldOut, Prediction, Predictor
    from predictors.pool import Pool

UNKNOWN = -1  # the column of a model that a predictor does not know


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained predictor and its own out-of-fold sample of the training queries, from which promises are placed."""

    predictor: Predictor
    sample: HeldOut | None


Share: TypeAlias = "Callable[[float], None]"  # hears the share that is done, 0..1
Fit: TypeAlias = "Callable[[Pool, Share], Fitted]"  # trains on a pool; one that was trained before may ignore it
TRAINING = 0.8  # of the time of a fit, the rest is the baselines'


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What was predicted for N queries by M models without having seen them, and what a constant would have said.

    Args:
        quality: (N, M) ours.
        quality_sd: (N, M) ours.
        cost: (N, M) ours, USD; the training mean where ours knows none.
        output_tokens: (N, M) ours; NaN where the training queries had none.
        baselines: (N, M) quality by name of baseline; their cost is `mean_cost`.
        mean_cost: (N, M) training mean of each model, USD.
        cheapest: (N,) the cheapest model on the training queries.
        best: (N,) the model with the best mean score there.
        part: (N,) which fit answered for the query.
        samples: by part, the predictor's own sample with columns in the pool's order; absent where it has none.
        fit_seconds: of our predictor, one per part.
    """

    quality: Floats
    quality_sd: Floats
    cost: Floats
    output_tokens: Floats
    baselines: Mapping[str, Floats]
    mean_cost: Floats
    cheapest: Ints
    best: Ints
    part: Ints
    samples: Mapping[int, Sample]
    fit_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One fit's answer for its held rows H."""

    held: Ints
    ours: Mapping[str, Floats]  # (H, M) each
    baselines: Mapping[str, Floats]  # (H, M) each
    mean_cost: Floats  # (M,)
    mean_score: Floats  # (M,)
    sample: Sample | None
    seconds: float


def estimate(pool: Pool, part: Ints, fit: Fit, tell: Share = lambda _share: None) -> Estimates:
    """Fits on all but one part, predicts that part, for each part in turn. `tell` hears the share done."""
    parts: dict[int, _Part] = {}
    count = len(np.unique(part))
    tell(0.0)
    for done, (number, rest, held) in enumerate(apart(part, pool.queries.prompts)):

        def within(share: float, done: int = done) -> None:
            tell((done + TRAINING * share) / count)

        parts[number] = _answer(pool, rest, held, fit, within)
        tell((done + 1) / count)
    return _gather(pool, part, parts)


def in_order(sample: HeldOut, columns: Ints) -> Sample:
    """The sample with its model columns picked in this order; an UNKNOWN column holds nothing but NaN."""
    return Sample(
        weight=sample.weight,
        quality=_picked(sample.quality, columns),
        quality_sd=_picked(sample.quality_sd, columns),
        score=_picked(sample.score, columns),
        cost_usd=_picked(sample.cost_usd, columns),
    )


def columns_of(predictor: Predictor, models: tuple[str, ...]) -> Ints:
    """(M,) the predictor's column of each model, or UNKNOWN."""
    place = {name: column for column, name in enumerate(predictor.models)}
    return np.array([place.get(name, UNKNOWN) for name in models], dtype=np.int64)


def _answer(pool: Pool, rest: Ints, held: Ints, fit: Fit, tell: Share) -> _Part:
    known = rows_of(pool, rest)
    began = perf_counter()
    fitted = fit(known, tell)
    seconds = perf_counter() - began
    asked = rows_of(pool, held).queries.prompts
    columns = columns_of(fitted.predictor, pool.models)
    labelled = Labelled([prompt.text for prompt in known.queries.prompts], known.groups, known.score)
    return _Part(
        held=held,
        ours=_ours(fitted.predictor.predict(asked), columns),
        baselines=predict_baselines(labelled, [prompt.text for prompt in asked]),
        mean_cost=means(known.cost),
        mean_score=means(known.score),
        sample=None if fitted.sample is None else in_order(fitted.sample, columns),
        seconds=seconds,
    )


def _ours(predicted: Prediction, columns: Ints) -> Mapping[str, Floats]:
    return {
        "quality": _picked(predicted.quality, columns),
        "quality_sd": _picked(predicted.quality_sd, columns),
        "cost": _picked(predicted.cost_usd, columns),
        "output_tokens": _picked(predicted.output_tokens, columns),
    }


def _picked(values: NDArray[np.floating], columns: Ints) -> Floats:
    return np.where(columns >= 0, values[:, columns].astype(np.float64), np.nan)


def _gather(pool: Pool, part: Ints, parts: Mapping[int, _Part]) -> Estimates:
    shape = pool.score.shape

    def joined(pick: Callable[[_Part], Floats]) -> Floats:
        table = np.full(shape, np.nan)
        for each in parts.values():
            table[each.held] = pick(each)
        return table

    def static(pick: Callable[[_Part], np.intp]) -> Ints:
        chosen = np.zeros(shape[0], dtype=np.int64)
        for each in parts.values():
            chosen[each.held] = pick(each)
        return chosen

    def baseline(name: str) -> Floats:
        return joined(lambda each: each.baselines[name])

    mean_cost = joined(lambda each: each.mean_cost)
    cost = joined(lambda each: each.ours["cost"])
    return Estimates(
        quality=joined(lambda each: each.ours["quality"]),
        quality_sd=joined(lambda each: each.ours["quality_sd"]),
        cost=np.where(np.isfinite(cost), cost, mean_cost),
        output_tokens=joined(lambda each: each.ours["output_tokens"]),
        baselines={name: baseline(name) for name in next(iter(parts.values())).baselines},
        mean_cost=mean_cost,
        cheapest=static(lambda each: each.mean_cost.argmin()),
        best=static(lambda each: each.mean_score.argmax()),
        part=part,
        samples={number: each.sample for number, each in parts.items() if each.sample is not None},
        fit_seconds=tuple(each.seconds for each in parts.values()),
    )
