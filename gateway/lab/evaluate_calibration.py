"""Estimates against what came: reliability of quality, error of tokens and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from gateway.lab.baselines import means
from gateway.lab.evaluate_results import Amounts, Bin, Reliability
from predictors.metrics import auc, calibration_error

if TYPE_CHECKING:
    from gateway.lab.frontier import Floats

BINS = 10


def reliability(name: str, label: str, quality: Floats, score: Floats, *, by_model: bool) -> Reliability:
    """Of estimates (N, M) against scores (N, M)."""
    known = np.isfinite(score)
    return Reliability(
        name=name,
        label=label,
        ece=calibration_error(quality, score),
        auc=auc(quality, score),
        brier=float(np.mean((quality[known] - score[known]) ** 2)),
        bins=equal_bins(quality[known], score[known]),
        models=tuple(
            equal_bins(quality[known[:, model], model], score[known[:, model], model])
            for model in range(score.shape[1] if by_model else 0)
        ),
    )


def equal_bins(predicted: Floats, realised: Floats) -> tuple[Bin, ...]:
    """Ten bins of equal width over 0..1, the empty ones left out."""
    which = np.clip((predicted * BINS).astype(np.int64), 0, BINS - 1)
    return tuple(
        Bin(float(predicted[which == each].mean()), float(realised[which == each].mean()), int((which == each).sum()))
        for each in np.unique(which)
    )


def amounts(unit: str, predicted: Floats, realised: Floats) -> Amounts | None:
    """Of predicted against realised amounts (N, M); None where either is nowhere known."""
    known = np.isfinite(predicted) & np.isfinite(realised)
    both = known & (predicted > 0) & (realised > 0)
    if not both.any():
        return None
    constant = np.repeat(means(np.where(both, realised, np.nan))[None], len(realised), axis=0)
    columns = [column for column in range(realised.shape[1]) if both[:, column].any()]
    return Amounts(
        unit=unit,
        bins=_even_bins(predicted[both], realised[both]),
        bias=tuple(
            float(predicted[both[:, each], each].mean() / realised[both[:, each], each].mean()) for each in columns
        ),
        error=_miss(predicted[both], realised[both]),
        constant_error=_miss(constant[both], realised[both]),
        correlation=float(
            np.mean([_rank(predicted[both[:, each], each], realised[both[:, each], each]) for each in columns])
        ),
    )


def _even_bins(predicted: Floats, realised: Floats) -> tuple[Bin, ...]:
    """Twenty bins of equally many estimates, with the 10th and 90th percentile of what came."""
    order = np.argsort(predicted, kind="stable")
    return tuple(
        Bin(
            float(predicted[rows].mean()),
            float(realised[rows].mean()),
            len(rows),
            *np.percentile(realised[rows], [10, 90]).tolist(),
        )
        for rows in np.array_split(order, min(2 * BINS, len(order)))
    )


def _miss(predicted: Floats, realised: Floats) -> float:
    return float(np.median(np.abs(np.log2(predicted / realised))))


def _rank(predicted: Floats, realised: Floats) -> float:
    if np.ptp(predicted) == 0 or np.ptp(realised) == 0:
        return 0.0
    return float(spearmanr(predicted, realised).statistic)
