"""Pools cut in two at random: a predictor fitted on one half, its estimates for the other, and what came of that.

Fits take a minute each; with a cache folder they are made once. Nothing of a pool's text is kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gateway.core.curve import Sample
from gateway.lab.evaluate_fit import columns_of, in_order
from gateway.lab.folds import rows_of
from gateway.lab.methods.plugin import plain_neighbours
from predictors.pool import read_pool
from predictors.training import train

if TYPE_CHECKING:
    from pathlib import Path

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Half:
    """Q queries in file order, by M models that the predictor was fitted for on the other half.

    Args:
        quality, quality_sd, cost: (Q, M) predicted.
        plain: (Q, M) the kNN-16 plug-in's quality.
        score, paid: (Q, M) realised success and USD.
        fitted_score, fitted_paid: (M,) means over the fitted half.
    """

    quality: Floats
    quality_sd: Floats
    cost: Floats
    plain: Floats
    score: Floats
    paid: Floats
    fitted_score: Floats
    fitted_paid: Floats


def halves(pools: Path, name: str, seed: int, cache: Path | None) -> tuple[Sample, Half]:
    """The predictor's own sample of the half that it was fitted on, and the other half."""
    file = cache / f"{name}-{seed}.npz" if cache else None
    if file is not None and file.is_file():
        with np.load(file) as kept:
            sample = Sample(**{each.name: kept[f"sample.{each.name}"] for each in fields(Sample)})
            return sample, Half(**{each.name: kept[f"half.{each.name}"] for each in fields(Half)})
    sample, half = _fit(pools / f"{name}.parquet", seed)
    if file is not None:
        arrays = {f"sample.{key}": value for key, value in asdict(sample).items()}
        np.savez(file, **arrays, **{f"half.{key}": value for key, value in asdict(half).items()})
    return sample, half


def _fit(path: Path, seed: int) -> tuple[Sample, Half]:
    pool = read_pool(path)
    order = np.random.default_rng(seed).permutation(len(pool.queries.ids))
    middle = len(order) // 2
    fitted, other = rows_of(pool, np.sort(order[:middle])), rows_of(pool, np.sort(order[middle:]))
    artifact = train([fitted], seed=seed)
    columns = columns_of(artifact.predictor, pool.models)
    predicted = artifact.predictor.predict(other.queries.prompts)
    plain = plain_neighbours(artifact.predictor, other.queries.prompts)
    if plain is None:
        raise ValueError("this predictor keeps no memory: the kNN-16 rules have nothing to look at")
    half = Half(
        quality=predicted.quality[:, columns].astype(np.float64),
        quality_sd=predicted.quality_sd[:, columns].astype(np.float64),
        cost=predicted.cost_usd[:, columns],
        plain=plain[:, columns],
        score=other.score,
        paid=other.cost,
        fitted_score=np.nanmean(fitted.score, axis=0),
        fitted_paid=np.nanmean(fitted.cost, axis=0),
    )
    return in_order(artifact.held_out, columns), half
