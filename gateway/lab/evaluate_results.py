"""What an evaluation found, as plain values: results.json holds them, the report draws them.

Costs are USD per 1,000 queries, success and predicted quality 0..1, times milliseconds unless a name says otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from gateway.lab.bootstrap import Interval

FORMAT = 1  # of results.json
QUALITY_SHARES = (0.90, 0.95, 0.98, 0.99, 1.00)  # of the best single model's success
Points: TypeAlias = tuple[tuple[float, float], ...]  # (cost, success)


@dataclass(frozen=True, slots=True)
class Band:
    """A hull's 95 % band: one entry per cost."""

    cost: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to route. A method without a dial is one point and has no figures of a frontier."""

    name: str
    label: str
    points: Points  # what each setting of its dial realised
    hull: Points
    band: Band | None
    aiq: Interval | None
    gap_closed: Interval | None
    peak: float
    cost_at: tuple[float | None, ...]  # by QUALITY_SHARES, over the best single model's cost; null: not reached


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of the pool by itself."""

    name: str
    success: float
    cost: float
    answered: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Who answers as ours is asked for more: one entry per setting."""

    success: tuple[float, ...]
    cost: tuple[float, ...]
    share: tuple[tuple[float, ...], ...]  # by setting, then by model in the pool's order


@dataclass(frozen=True, slots=True)
class Bin:
    """Estimates that lie together: their mean, what came of them, and how many there are."""

    predicted: float
    realised: float
    count: int
    low: float = float("nan")  # 10th percentile of what came, where asked for
    high: float = float("nan")  # 90th


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted against realised success of one predictor."""

    name: str
    label: str
    ece: float  # ten bins per model, mean over models
    auc: float
    brier: float
    bins: tuple[Bin, ...]  # all models together
    models: tuple[tuple[Bin, ...], ...]  # one by one; empty for the baselines


@dataclass(frozen=True, slots=True)
class Amounts:
    """Predicted against realised output tokens or cost."""

    unit: str  # "output tokens" or "USD per 1,000 queries"
    bins: tuple[Bin, ...]
    bias: tuple[float, ...]  # by model: mean predicted / mean realised
    error: float  # median of |log2(predicted / realised)|
    constant_error: float  # the same when each model's mean is predicted
    correlation: float  # Spearman's, mean over models


@dataclass(frozen=True, slots=True)
class Kept:
    """One asked average and what came of it."""

    asked: float
    realised: float
    error: float  # standard error of the difference from what was asked
    cost: float


@dataclass(frozen=True, slots=True)
class Away:
    """A part of the pool that was not in the training data, or all of them together."""

    name: str
    queries: int
    best_single: float  # success of the model that was best in training
    peak: dict[str, float]  # by predictor: success when only quality counts
    ece: dict[str, float]
    aiq: dict[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """One call with this many queries, on one thread."""

    queries: int
    median: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult:
    """All that was found on one pool."""

    name: str
    queries: int
    rule: str  # "refit": five folds; "as_is": the artifact was trained on other texts
    overlapping: int  # queries whose text the artifact was trained on
    excluded: int  # of these, left out
    unlabelled: int  # left out for want of any score
    unknown_models: tuple[str, ...]  # left out because the artifact does not know them
    groups: int
    models: tuple[ModelRow, ...]
    best_single: str
    cheapest: str
    methods: tuple[Method, ...]
    shares: Shares | None
    reliability: tuple[Reliability, ...]
    amounts: tuple[Amounts, ...]
    promise: tuple[Kept, ...]
    away: tuple[Away, ...]  # the last is all together; empty where the pool has one group
    fit_seconds: tuple[float, ...]
    seconds: float

    def method(self, name: str) -> Method | None:
        """The method of that name, where it could be run."""
        return next((each for each in self.methods if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The whole of results.json."""

    format: int
    version: str  # of paretogate
    command: str
    artifact: dict[str, object]  # its manifest's summary
    machine: str
    seed: int
    draws: int
    quality_shares: tuple[float, ...]
    latency: tuple[Latency, ...]
    load_seconds: float
    pools: tuple[PoolResult, ...]


def as_json(results: Results) -> str:
    """The text of results.json: what is not a number is null."""
    return json.dumps(_finite(asdict(results)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
