"""The rules that are asked for an average success, run as `route` runs them: fold by fold, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import trace
from gateway.domain import MinQuality
from gateway.lab.baselines import PLAIN_KNN
from gateway.lab.methods import METHODS
from gateway.lab.methods.case import Case
from gateway.lab.methods.file import assign_file
from gateway.load.base import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Ints, Realised

BATCH = 64  # the window's most
UNSAMPLED = ("eccos-r", "port")  # these know nothing but the estimates of the queries that they see
LEVELS = 48  # asked averages per rule
FEW_LEVELS = 12  # where each batch takes an integer program


def asked_levels(given: Estimates, count: int = LEVELS) -> Floats:
    """Averages to ask: half at even steps of success and half at even steps of cost, as the samples realise them.

    The last quarter goes on to certainty, for rules whose estimates are that hopeful.
    """
    curves = [trace(sample) for sample in given.samples.values()]
    low, high = min(curve.realised[0] for curve in curves), max(curve.realised[-1] for curve in curves)
    dear = curves[0].cost_usd
    by_cost = np.interp(np.linspace(dear[0], dear[-1], 3 * count // 8), dear, curves[0].realised)
    by_success = np.linspace(low, high, 3 * count // 8)
    return np.unique(np.concatenate([by_success, by_cost, np.linspace(high, 1.0, count // 4)]))


def assigned(rule: str, asked: Sequence[float] | Floats, given: Estimates, realised: Realised, seed: int) -> Ints:
    """(L, N) the model that a rule of `METHODS` gives each query at each asked average.

    Queries come in random order, for pools are sorted by task and traffic is not, with room for all. Each part is a
    stream of its own, unless the rule never looks at the predictor's sample. A query whose model did not answer takes
    the next that did.
    """
    order = np.random.default_rng(seed)
    whole = rule in UNSAMPLED
    streams = [np.arange(len(given.part))] if whole else [np.flatnonzero(given.part == part) for part in given.samples]
    choice = np.zeros((len(asked), len(given.part)), dtype=np.int64)
    for stream, sample in zip(streams, given.samples.values(), strict=False):
        rows = order.permutation(stream)
        for level, wanted in enumerate(asked):
            case = Case(
                quality=given.quality[rows],
                quality_sd=given.quality_sd[rows],
                cost=given.cost[rows],
                plain=given.baselines[PLAIN_KNN][rows],
                sample=sample,
                objective=MinQuality(float(wanted)),
                batch_size=BATCH,
                slots=np.full(given.quality.shape[1], UNLIMITED),
                seed=seed,
            )
            choice[level, rows] = assign_file(case, METHODS[rule](case))
    return np.stack([answered(row, realised) for row in choice])


def answered(choice: Ints, realised: Realised) -> Ints:
    """(N,) the choice, or the next model in order that answered the query where it did not."""
    rows = np.arange(len(choice))
    models = realised.score.shape[1]
    for _ in range(models):
        missing = ~np.isfinite(realised.score[rows, choice])
        choice = np.where(missing, (choice + 1) % models, choice)
    return choice
