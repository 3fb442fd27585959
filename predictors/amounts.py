"""Positive amounts per query and model (output tokens, USD): a ridge on the logarithm, and how it misses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from predictors.base import QUANTILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

RIDGE = 30.0
_FLOOR = 1e-3  # amounts of 0 count as this share of the median


@dataclass(frozen=True, slots=True)
class Amounts:
    """M models, F inputs.

    Args:
        slope: (F, M) float32, of the logarithm.
        level: (M,) float32; NaN for a model of which nothing is recorded.
        low, high: (M,) float32, the logarithms that were seen.
        shape: (M, QUANTILES) float32, factors on the estimate, ascending: the mean of each eighth.
    """

    slope: Floats
    level: Floats
    low: Floats
    high: Floats
    shape: Floats

    def quantiles(self, inputs: Floats) -> Floats:
        """(Q, M, QUANTILES) ascending; NaN for models without a record."""
        line = np.clip(inputs @ self.slope + self.level, self.low, self.high)
        return (np.exp(line)[:, :, None] * self.shape).astype(np.float32)  # type: ignore[no-any-return]

    def mean(self, inputs: Floats) -> Doubles:
        """(Q, M); NaN for models without a record."""
        line = np.clip(inputs @ self.slope + self.level, self.low, self.high).astype(np.float64)
        return np.exp(line) * self.shape.mean(axis=1)  # type: ignore[no-any-return]


def fit_amounts(inputs: Floats, values: Doubles) -> Amounts:
    """From (Q, F) inputs and (Q, M) amounts of 0 or more, NaN where not recorded."""
    models = values.shape[1]
    slope = np.zeros((inputs.shape[1], models), np.float32)
    level, low, high = (np.full(models, np.nan, np.float32) for _ in range(3))
    shape = np.full((models, QUANTILES), np.nan, np.float32)
    known = ~np.isnan(values)
    _, pattern = np.unique(known, axis=1, return_inverse=True)
    for each in range(int(pattern.max(initial=-1)) + 1):
        columns = np.flatnonzero(pattern.ravel() == each)
        rows = np.flatnonzero(known[:, columns[0]])
        if not rows.size:
            continue
        table = values[np.ix_(rows, columns)]
        positive = table[table > 0]
        floor = _FLOOR * (np.median(positive) if positive.size else 1.0)
        logs = np.log(np.maximum(table, floor))
        slope[:, columns], level[columns], missed = _ridge(inputs[rows].astype(np.float64), logs)
        low[columns], high[columns] = logs.min(axis=0), logs.max(axis=0)
        estimate = np.exp(np.clip(logs - missed, logs.min(axis=0), logs.max(axis=0)))
        shape[columns] = _eighths(table / estimate).T
    return Amounts(slope, level, low, high, shape)


def _ridge(inputs: Doubles, logs: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Slopes (F, M), levels (M,) and what each row would be missed by (Q, M), had it been left out."""
    centre, level = inputs.mean(axis=0), logs.mean(axis=0)
    moved = inputs - centre
    inverse = np.linalg.inv(moved.T @ moved + RIDGE * np.eye(inputs.shape[1]))
    slope = inverse @ (moved.T @ (logs - level))
    leverage = np.minimum(np.einsum("qf,fg,qg->q", moved, inverse, moved, optimize=True) + 1 / len(inputs), 0.9)
    missed = (logs - level - moved @ slope) / (1 - leverage)[:, None]
    return slope, level - centre @ slope, missed


def _eighths(ratio: Doubles) -> Doubles:
    """(QUANTILES, M) mean of each eighth of (Q, M) ratios, so that the plain mean of all is the mean."""
    ordered = np.sort(ratio, axis=0)
    if len(ordered) < QUANTILES:
        return np.quantile(ordered, (np.arange(QUANTILES) + 0.5) / QUANTILES, axis=0)
    edges = np.linspace(0, len(ordered), QUANTILES + 1).round().astype(int)
    return np.stack([ordered[a:b].mean(axis=0) for a, b in pairwise(edges)])
