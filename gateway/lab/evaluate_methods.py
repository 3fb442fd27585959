"""Every way to route the same queries, as points of realised cost and success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import aim, frontier
from gateway.lab.baselines import CONSTANT, LABELS, LOGISTIC, PLAIN_KNN, RIVALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.curve import Curve
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Ints, Realised

LEVELS = 101  # asked qualities of a rule that is given one

OURS, OUR_LABEL = "ours", "ours"
OFFLINE = "offline"
ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Swept:
    """One method over N queries, at L settings of its one dial (1 where it has none).

    Args:
        name: fixed, for results.json.
        label: for people.
        cost: (L, N) realised USD, expected where the method draws lots.
        score: (L, N) realised.
        share: (L, M) of the queries that each model answers.
    """

    name: str
    label: str
    cost: Floats
    score: Floats
    share: Floats

    @property
    def is_point(self) -> bool:
        """Whether it has no dial."""
        return len(self.cost) == 1


def sweep_all(given: Estimates, realised: Realised, curve: Mapping[int, Curve]) -> list[Swept]:
    """All methods, the static ones first.

    Args:
        given: estimates for the queries.
        realised: what came of them.
        curve: by part, the curve of our predictor's own sample; a part without one leaves "ours" out.
    """
    return [*_static(realised), *_rules(given, realised), *_learned(given, realised), *_ours(given, realised, curve)]


def _static(realised: Realised) -> list[Swept]:
    queries, models = realised.score.shape
    even = np.isfinite(realised.score) / np.isfinite(realised.score).sum(axis=1, keepdims=True)
    turns = _answered(np.arange(queries) % models, realised)
    return [
        _shared("random", "random", even[None], realised),
        _chosen("round_robin", "round robin", turns[None], realised),
        _chosen("cheapest", "cheapest", _answered(realised.cheapest, realised)[None], realised),
        _chosen("best_single", "best single", _answered(realised.best, realised)[None], realised),
    ]


def _rules(given: Estimates, realised: Realised) -> list[Swept]:
    return [
        _chosen("threshold_knn16", "threshold rule, kNN-16", _thresholds(given, realised), realised),
        _chosen("two_model", "two-model threshold", _pair(given, realised), realised),
    ]


def _learned(given: Estimates, realised: Realised) -> list[Swept]:
    return [
        _chosen(name, LABELS[name], frontier.sweep(given.baselines[name], given.mean_cost, realised), realised)
        for name in (CONSTANT, *RIVALS)
    ]


def _ours(given: Estimates, realised: Realised, curve: Mapping[int, Curve]) -> list[Swept]:
    best = _chosen(
        OFFLINE, "offline optimum, our predictions", frontier.sweep(given.quality, given.cost, realised), realised
    )
    oracle = _chosen(ORACLE, "oracle", frontier.sweep(np.nan_to_num(realised.score), realised.cost, realised), realised)
    if set(curve) != set(np.unique(given.part).tolist()):
        return [best, oracle]
    low = min(each.realised[0] for each in curve.values())
    high = max(each.realised[-1] for each in curve.values())
    shares = [
        aim.aimed(dict.fromkeys(curve, float(asked)), curve, given, realised)
        for asked in np.linspace(low, high, LEVELS)
    ]
    return [_shared(OURS, OUR_LABEL, np.stack(shares), realised), best, oracle]


def _thresholds(given: Estimates, realised: Realised) -> Ints:
    """(LEVELS, N): the cheapest model whose estimate reaches the level, the best estimate where none does."""
    allowed = np.isfinite(realised.score)
    quality = np.where(allowed, given.baselines[PLAIN_KNN], -np.inf)
    fallback = quality.argmax(axis=1)
    rows = []
    for level in np.linspace(0.0, 1.0, LEVELS):
        good = quality >= level
        cheap = np.where(good, given.mean_cost, np.inf).argmin(axis=1)
        rows.append(np.where(good.any(axis=1), cheap, fallback))
    return np.stack(rows)


def _pair(given: Estimates, realised: Realised) -> Ints:
    """(LEVELS, N): between a weak model and the best one, by the logistic's predicted lead."""
    weak = np.zeros_like(realised.best)
    for part in np.unique(given.part):
        rows = np.flatnonzero(given.part == part)
        weak[rows] = _weak_model(given.mean_cost[rows[0]], given.baselines[CONSTANT][rows[0]], realised.best[rows[0]])
    every = np.arange(len(weak))
    quality = given.baselines[LOGISTIC]
    lead = quality[every, realised.best] - quality[every, weak]
    cuts = np.quantile(lead, np.linspace(0.0, 1.0, LEVELS))
    strong = lead[None] >= np.append(cuts[:-1], np.inf)[:, None]
    return np.stack([_answered(np.where(row, realised.best, weak), realised) for row in strong])


def _weak_model(cost: Floats, score: Floats, best: int) -> int:
    """The partner that makes the highest two-model frontier on the training means (M,)."""
    cheapest = int(cost.argmin())
    areas = [
        frontier.aiq(
            frontier.hull(cost[[cheapest, each, best]], score[[cheapest, each, best]]), cost[cheapest], cost[best]
        )
        if cost[each] < cost[best]
        else -np.inf
        for each in range(len(cost))
    ]
    return int(np.argmax(areas))


def _answered(choice: Ints, realised: Realised) -> Ints:
    """The choice, or the next model in order that answered the query where it did not."""
    rows = np.arange(len(choice))
    models = realised.score.shape[1]
    for _ in range(models):
        missing = ~np.isfinite(realised.score[rows, choice])
        choice = np.where(missing, (choice + 1) % models, choice)
    return choice


def _chosen(name: str, label: str, choice: Ints, realised: Realised) -> Swept:
    models = realised.score.shape[1]
    cost, score = realised.picked(choice)
    share = np.stack([np.bincount(row, minlength=models) / len(row) for row in choice])
    return Swept(name, label, cost, score, share)


def _shared(name: str, label: str, share: Floats, realised: Realised) -> Swept:
    """From (L, N, M) shares."""
    cost, score = zip(*(aim.settle(each, realised) for each in share), strict=True)
    return Swept(name, label, np.stack(cost), np.stack(score), share.mean(axis=1))
