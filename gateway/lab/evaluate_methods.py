"""Every way to route the same queries, as points of realised cost and success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import frontier
from gateway.lab.baselines import CONSTANT, LABELS, RIVALS
from gateway.lab.evaluate_rules import FEW_LEVELS, LEVELS, answered, asked_levels, assigned
from gateway.lab.methods import OURS as METHOD

if TYPE_CHECKING:
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Ints, Realised

OURS, OUR_LABEL = "ours", "ours"
OFFLINE = "offline"
ORACLE = "oracle"
RULES = (  # name, label, rule of gateway.lab.methods, asked averages
    ("threshold_knn16", "threshold rule, kNN-16", "threshold", LEVELS),
    ("eccos_r", "ECCOS-R", "eccos-r", FEW_LEVELS),
    ("two_model", "two-model threshold", "two-model", LEVELS),
    ("port", "PORT", "port", LEVELS),
    (OURS, OUR_LABEL, METHOD, LEVELS),
)


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


def sweep_all(given: Estimates, realised: Realised, seed: int) -> list[Swept]:
    """All methods, the static ones first. A fit without a sample leaves out the rules that are asked for an average."""
    sampled = set(given.samples) == set(np.unique(given.part).tolist())
    rules = _rules(given, realised, seed) if sampled else []
    return [*_static(realised), *rules, *_learned(given, realised), *_bounds(given, realised)]


def _static(realised: Realised) -> list[Swept]:
    queries, models = realised.score.shape
    known = np.isfinite(realised.score)
    even = known / known.sum(axis=1, keepdims=True)
    cost, score = (np.where(known, values, 0.0) * even for values in (realised.cost, realised.score))
    turns = answered(np.arange(queries) % models, realised)
    return [
        Swept("random", "random", cost.sum(axis=1)[None], score.sum(axis=1)[None], even.mean(axis=0)[None]),
        _chosen("round_robin", "round robin", turns[None], realised),
        _chosen("cheapest", "cheapest", answered(realised.cheapest, realised)[None], realised),
        _chosen("best_single", "best single", answered(realised.best, realised)[None], realised),
    ]


def _rules(given: Estimates, realised: Realised, seed: int) -> list[Swept]:
    return [
        _chosen(name, label, assigned(rule, asked_levels(given, count), given, realised, seed), realised)
        for name, label, rule, count in RULES
    ]


def _learned(given: Estimates, realised: Realised) -> list[Swept]:
    return [
        _chosen(name, LABELS[name], frontier.sweep(given.baselines[name], given.mean_cost, realised), realised)
        for name in (CONSTANT, *RIVALS)
    ]


def _bounds(given: Estimates, realised: Realised) -> list[Swept]:
    optimum = frontier.sweep(given.quality, given.cost, realised)
    oracle = frontier.sweep(np.nan_to_num(realised.score), realised.cost, realised)
    return [
        _chosen(OFFLINE, "optimum with our predictions", optimum, realised),
        _chosen(ORACLE, "oracle", oracle, realised),
    ]


def _chosen(name: str, label: str, choice: Ints, realised: Realised) -> Swept:
    models = realised.score.shape[1]
    cost, score = realised.picked(choice)
    share = np.stack([np.bincount(row, minlength=models) / len(row) for row in choice])
    return Swept(name, label, cost, score, share)
