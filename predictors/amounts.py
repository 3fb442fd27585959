"""Positive amounts per query and model (output tokens, USD): a ridge on the logarithm, and how it misses.

Away from home the model's own distribution stands, as the prior does for quality: a cost that differs by a little
would decide between models as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
        centre: (F,) float32, the mean input.
        level: (M,) float32, mean logarithm; NaN for a model of which nothing is recorded.
        low, high: (M,) float32, the logarithms that were seen.
        shape: (M, QUANTILES) float32, factors on the ridge's estimate, ascending: the mean of each eighth.
        flat: (M, QUANTILES) float32, likewise on exp(level) alone.
    """

    slope: Floats
    centre: Floats
    level: Floats
    low: Floats
    high: Floats
    shape: Floats
    flat: Floats
    _offset: Floats = field(init=False, repr=False)  # (M,) what the slope makes of the centre
    _away: Floats = field(init=False, repr=False)  # (M, QUANTILES) amounts away from home
    _mean: Doubles = field(init=False, repr=False)  # (M,) mean factor on the ridge's estimate
    _mean_away: Doubles = field(init=False, repr=False)  # (M,) mean amount away from home

    def __post_init__(self) -> None:
        typical = np.exp(self.level)
        object.__setattr__(self, "_offset", self.centre @ self.slope)
        object.__setattr__(self, "_away", typical[:, None] * self.flat)
        object.__setattr__(self, "_mean", self.shape.mean(axis=1).astype(np.float64))
        object.__setattr__(self, "_mean_away", (typical * self.flat.mean(axis=1)).astype(np.float64))

    def deviation(self, inputs: Floats) -> Floats:
        """(Q, M) how far above `level` the logarithm is expected; 0 for models without a record."""
        above: Floats = inputs.dot(self.slope)
        above -= self._offset
        return above

    def quantiles(self, deviation: Floats, home: NDArray[np.bool_]) -> Floats:
        """(Q, M, QUANTILES) ascending; NaN for models without a record. (Q, 1) `home`: whether the ridge holds."""
        line = self._bounded(deviation)
        amounts: Floats = np.exp(line, out=line)[..., None] * self.shape
        np.copyto(amounts, self._away, where=~home[..., None])
        return amounts

    def mean(self, deviation: Floats, home: NDArray[np.bool_]) -> Doubles:
        """(Q, M); NaN for models without a record. As `quantiles`."""
        line: Doubles = np.exp(self._bounded(deviation), dtype=np.float64)
        line *= self._mean
        np.copyto(line, self._mean_away, where=~home)
        return line

    def _bounded(self, deviation: Floats) -> Floats:
        logarithm: Floats = self.level + deviation
        np.maximum(logarithm, self.low, out=logarithm)
        return np.minimum(logarithm, self.high, out=logarithm)


def fit_amounts(inputs: Floats, values: Doubles) -> Amounts:
    """From (Q, F) inputs and (Q, M) amounts of 0 or more, NaN where not recorded."""
    models = values.shape[1]
    slope = np.zeros((inputs.shape[1], models), np.float32)
    level, low, high = (np.full(models, np.nan, np.float32) for _ in range(3))
    shape, flat = (np.full((models, QUANTILES), np.nan, np.float32) for _ in range(2))
    centre = inputs.mean(axis=0) if len(inputs) else np.zeros(inputs.shape[1])
    moved = inputs.astype(np.float64) - centre
    _, pattern = np.unique(~np.isnan(values), axis=1, return_inverse=True)
    for each in range(int(pattern.max(initial=-1)) + 1):
        columns = np.flatnonzero(pattern.ravel() == each)
        rows = np.flatnonzero(~np.isnan(values[:, columns[0]]))
        if not rows.size:
            continue
        table = values[np.ix_(rows, columns)]
        logs = _logarithm(table)
        slope[:, columns], offset, missed = _ridge(moved[rows], logs)
        level[columns], low[columns], high[columns] = offset, logs.min(axis=0), logs.max(axis=0)
        shape[columns] = _eighths(table, np.exp(np.clip(logs - missed, logs.min(axis=0), logs.max(axis=0)))).T
        flat[columns] = _eighths(table, np.exp(offset) * np.ones_like(table)).T
    return Amounts(slope, centre.astype(np.float32), level, low, high, shape, flat)


def _logarithm(values: Doubles) -> Doubles:
    """The logarithm, where an amount of 0 counts as a small share of the median."""
    positive = values[values > 0]
    floor = _FLOOR * (float(np.median(positive)) if positive.size else 1.0)
    logs: Doubles = np.log(np.maximum(values, floor))
    return logs


def _ridge(moved: Doubles, logs: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Slopes (F, M), levels (M,) and what each row would be missed by (Q, M), had it been left out."""
    middle, level = moved.mean(axis=0), logs.mean(axis=0)
    inside = moved - middle
    inverse = np.linalg.inv(inside.T @ inside + RIDGE * np.eye(moved.shape[1]))
    slope = inverse @ (inside.T @ (logs - level))
    leverage = np.minimum(((inside @ inverse) * inside).sum(axis=1) + 1 / len(inside), 0.9)
    missed = (logs - level - inside @ slope) / (1 - leverage)[:, None]
    return slope, level - middle @ slope, missed


def _eighths(table: Doubles, estimate: Doubles) -> Doubles:
    """(QUANTILES, M) mean of each eighth of the ratios of (Q, M) amounts to estimates.

    Scaled so that the mean estimate is the mean amount: large amounts are missed by other factors than small ones.
    """
    ordered = np.sort(table / estimate, axis=0)
    mean = (estimate * ordered.mean(axis=0)).mean(axis=0)
    ordered *= np.divide(table.mean(axis=0), mean, out=np.ones_like(mean), where=mean > 0)
    if len(ordered) < QUANTILES:
        levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
        few: Doubles = np.quantile(ordered, levels, axis=0)
        return few
    edges = np.linspace(0, len(ordered), QUANTILES + 1).round().astype(int)
    return np.stack([ordered[a:b].mean(axis=0) for a, b in pairwise(edges)])
