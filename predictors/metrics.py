"""How good predicted success is: discrimination, calibration, squared error. Missing scores are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.floating]

BINS = 10
SUCCESS = 0.5  # a score above it counts as success where a yes or no is needed


def auc(quality: Array, score: Array) -> float:
    """Area under the ROC curve within a model, over queries; mean over models that have both outcomes. (Q, M) each."""
    return _mean_over_models(quality, score, _auc)


def calibration_error(quality: Array, score: Array) -> float:
    """Ten equal bins per model, mean over models. (Q, M) each."""
    return _mean_over_models(quality, score, _calibration_error)


def brier(quality: Array, score: Array) -> float:
    """Mean squared difference, mean over models. (Q, M) each."""
    return _mean_over_models(quality, score, lambda guess, truth: float(np.mean((guess - truth) ** 2)))


def _mean_over_models(quality: Array, score: Array, measure: Callable[[Array, Array], float]) -> float:
    values = []
    for guess, truth in zip(quality.T, score.T, strict=True):
        known = ~np.isnan(truth)
        if known.any():
            values.append(measure(guess[known], truth[known]))
    return float(np.nanmean(values)) if values and not np.all(np.isnan(values)) else float("nan")


def _auc(guess: Array, truth: Array) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415 - of measuring alone: serving imports no scipy

    good = truth > SUCCESS
    hits, misses = int(good.sum()), int((~good).sum())
    if not hits or not misses:
        return float("nan")
    ranks = rankdata(guess)
    return float((ranks[good].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _calibration_error(guess: Array, truth: Array) -> float:
    place = np.clip((guess * BINS).astype(np.int64), 0, BINS - 1)
    size = np.bincount(place, minlength=BINS)
    gap = np.bincount(place, guess, minlength=BINS) - np.bincount(place, truth, minlength=BINS)
    return float(np.abs(gap).sum() / size.sum())
