"""All baselines side by side on outcome data that the predictor has not learned from.

A pool whose texts the artifact has never seen is predicted by the artifact as it is. One that it knows in part loses
those queries first, and where half or more are known the artifact's recipe is trained anew by five folds. The
baselines learn by five folds in either case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from gateway.errors import ConfigurationError
from gateway.lab import evaluate_figures
from gateway.lab.baselines import BLEND, CONSTANT, LABELS, LOGISTIC, PLAIN_KNN
from gateway.lab.evaluate_away import away
from gateway.lab.evaluate_calibration import amounts, reliability
from gateway.lab.evaluate_fit import UNKNOWN, columns_of, estimate
from gateway.lab.evaluate_methods import OUR_LABEL, OURS
from gateway.lab.evaluate_results import PoolResult
from gateway.lab.folds import bundles_of, folds_of, models_of, rows_of
from predictors.hashes import text_hashes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gateway.lab.evaluate_fit import Estimates, Fit, Fitted
    from gateway.lab.evaluate_results import Amounts, Reliability
    from gateway.lab.frontier import Floats
    from predictors.pool import Pool

FEWEST = 20  # queries below which five folds say nothing
MOSTLY = 0.5  # share of known texts from which the recipe is trained anew
REFIT, AS_IS = "refit", "as_is"
CALIBRATED = (CONSTANT, PLAIN_KNN, LOGISTIC, BLEND)  # whose reliability stands beside ours


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: a trained artifact and the recipe that made it.

    Args:
        fitted: the artifact as it is.
        fit: trains its recipe on other rows.
        hashes: of the texts that it was trained on.
    """

    fitted: Fitted
    fit: Fit
    hashes: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A pool ready to be evaluated, and how it came to be."""

    pool: Pool
    rule: str
    overlapping: int
    excluded: int
    unlabelled: int
    unknown_models: tuple[str, ...]


def evaluate_pool(
    name: str, pool: Pool, subject: Subject, *, draws: int, seed: int, tell: Callable[[str, float], None]
) -> PoolResult:
    """Every figure of one pool. `tell` hears what is being done and the share done.

    Raises:
        ConfigurationError: the pool has too few queries left, or no cost at all.
    """
    began = perf_counter()
    asked = prepare(name, pool, subject)
    fit = subject.fit if asked.rule == REFIT else (lambda _pool, _tell: subject.fitted)
    part = folds_of(asked.pool.queries.prompts, seed=seed)
    given = estimate(asked.pool, part, fit, lambda share: tell("folds", share))
    far = _far(asked, subject, tell)
    tell("methods", 0.0)
    found = result_of(name, asked, given, far, draws=draws, seed=seed)
    tell("methods", 1.0)
    return replace(found, seconds=perf_counter() - began)


def result_of(name: str, asked: Asked, given: Estimates, far: Estimates | None, *, draws: int, seed: int) -> PoolResult:
    """All figures that follow from estimates.

    Args:
        name: of the pool.
        asked: the queries.
        given: estimates by fits that left random folds out.
        far: estimates by fits that left whole groups out, where there are groups.
        draws: of the bootstrap.
        seed: of the draws and of rules that draw.
    """
    pool = asked.pool
    realised = evaluate_figures.realised_of(pool, given)
    methods, shares = evaluate_figures.compare(given, realised, draws, seed)
    return PoolResult(
        name=name,
        queries=len(pool.queries.ids),
        rule=asked.rule,
        overlapping=asked.overlapping,
        excluded=asked.excluded,
        unlabelled=asked.unlabelled,
        unknown_models=asked.unknown_models,
        groups=len(set(pool.groups)),
        models=evaluate_figures.model_rows(pool),
        best_single=pool.models[int(np.bincount(given.best).argmax())],
        cheapest=pool.models[int(np.bincount(given.cheapest).argmax())],
        methods=methods,
        shares=shares,
        reliability=_reliability(given, pool.score),
        amounts=_amounts(given, pool),
        promise=evaluate_figures.kept_promises(given, realised, seed=seed),
        away=() if far is None else away(pool, far),
        fit_seconds=given.fit_seconds if asked.rule == REFIT else (),
        seconds=0.0,
    )


def prepare(name: str, pool: Pool, subject: Subject) -> Asked:
    """The part of a pool that can be evaluated, and by which rule.

    Raises:
        ConfigurationError: as `evaluate_pool`.
    """
    labelled = np.isfinite(pool.score).any(axis=1)
    known = np.isin(text_hashes(pool.queries.prompts), subject.hashes)
    columns = columns_of(subject.fitted.predictor, pool.models)
    anew = known[labelled].mean() >= MOSTLY if labelled.any() else False
    rule = REFIT if anew or (columns == UNKNOWN).all() else AS_IS
    kept = labelled if rule == REFIT else labelled & ~known
    strange = () if rule == REFIT else tuple(np.array(pool.models)[columns == UNKNOWN].tolist())
    left = rows_of(pool, np.flatnonzero(kept))
    if strange:
        left = models_of(left, np.flatnonzero(columns != UNKNOWN))
        left = rows_of(left, np.flatnonzero(np.isfinite(left.score).any(axis=1)))
    if len(left.queries.ids) < FEWEST:
        raise ConfigurationError(
            f"{name}: {len(left.queries.ids)} queries are left to evaluate, and it takes {FEWEST}; of {len(known)}, "
            f"{int((~labelled).sum())} have no score and {int(known.sum())} were trained on"
        )
    if not np.isfinite(left.cost).any():
        raise ConfigurationError(f"{name}: no column named cost:<model>; a frontier needs costs (0 is legal)")
    return Asked(
        pool=left,
        rule=rule,
        overlapping=int(known.sum()),
        excluded=int((known & labelled).sum()) if rule == AS_IS else 0,
        unlabelled=int((~labelled).sum()),
        unknown_models=strange,
    )


def _reliability(given: Estimates, score: Floats) -> tuple[Reliability, ...]:
    ours = reliability(OURS, OUR_LABEL, given.quality, score, by_model=True)
    others = (reliability(name, LABELS[name], given.baselines[name], score, by_model=False) for name in CALIBRATED)
    return (ours, *others)


def _amounts(given: Estimates, pool: Pool) -> tuple[Amounts, ...]:
    per_1k = evaluate_figures.PER_1K
    found = (
        amounts("output tokens", given.output_tokens, pool.output_tokens),
        amounts("USD per 1,000 queries", given.cost * per_1k, pool.cost * per_1k),
    )
    return tuple(each for each in found if each is not None)


def _far(asked: Asked, subject: Subject, tell: Callable[[str, float], None]) -> Estimates | None:
    """None where there is one group, or where the artifact comes from elsewhere and so is out of its domain anyway."""
    part = bundles_of(asked.pool.groups)
    if len(np.unique(part)) == 1 or asked.rule == AS_IS:
        return None
    return estimate(asked.pool, part, subject.fit, lambda share: tell("groups left out", share))
