"""What a price of quality buys: the curve from a multiplier to predicted quality, realised quality and cost.

At multiplier lambda (USD that a route pays for one unit of quality) every query of a held-out sample takes the model
with the least cost - lambda x quality. As lambda grows each query climbs its own lower envelope, so the whole curve
is exact: no grid of multipliers is tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gateway.core.problem import Floats

KNOTS = 256  # a promise is held between neighbouring knots by mixing them; finer costs memory and gains < 0.01 %
LEAST_GAIN = 1e-4  # quality that an upgrade must add: the unit of the solvers, problem.QUALITY_UNIT
LEAST_MULTIPLIER = 1e-7  # USD: breaks ties between free models in favour of the better
# How far past the first and the last breakpoint the ends of the curve lie, as a factor. With priors alone the sample is
# one query, and live ones that cost a twentieth or twenty times as much must still lie between the ends.
BEYOND = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """N held-out queries (or weighted cells of them) as M models of one route would serve them, at its prices.

    A model that nobody has watched has a constant quality column and no scores.

    Args:
        weight: (N,) queries in the cell.
        quality: (N, M) predicted, 0..1.
        quality_sd: (N, M) predicted.
        score: (N, M) realised, 0..1; NaN where not known.
        cost_usd: (N, M) predicted.
    """

    weight: Floats
    quality: Floats
    quality_sd: Floats
    score: Floats
    cost_usd: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """K knots in ascending order of multiplier; each array is (K,) float64. Between two knots traffic is mixed."""

    multiplier: Floats  # USD per unit of quality
    predicted: Floats  # mean predicted quality, never falling
    predicted_sd: Floats  # standard deviation of it between queries
    realised: Floats  # mean realised quality, never falling
    cost_usd: Floats  # mean predicted cost of a query, never falling
    cost_sd: Floats  # standard deviation of it between queries
    singles: tuple[tuple[float, float], ...] = ()  # of each model alone: mean USD and mean realised quality

    @property
    def last(self) -> int:
        """The last knot that is of use: beyond it money buys no realised quality."""
        return int(np.searchsorted(self.realised, self.realised[-1] - LEAST_GAIN))


def trace(sample: Sample, risk: float = 0.0) -> Curve:
    """The curve of a sample. Choices use quality - risk x sd; averages count quality."""
    usable = np.isfinite(sample.cost_usd) & np.isfinite(sample.quality)
    worth = np.where(usable, sample.quality - risk * np.nan_to_num(sample.quality_sd), -np.inf)
    cost = np.where(usable, sample.cost_usd, np.inf)
    rows = usable.any(axis=1) & (sample.weight > 0)
    if not rows.any():
        raise ValueError("a curve needs a query that some model can serve")
    averaged = [sample.quality, filled_scores(sample), sample.cost_usd]
    counted = np.stack([*averaged, np.square(sample.quality), np.square(sample.cost_usd)])[:, rows]
    weight = sample.weight[rows] / sample.weight[rows].sum()
    curve = _knots(*_climb(cost[rows], worth[rows], counted, weight))
    singles = np.average(counted[[2, 1]], axis=1, weights=weight)
    return replace(curve, singles=tuple((float(usd), float(quality)) for usd, quality in singles.T))


def filled_scores(sample: Sample) -> Floats:
    """(N, M) realised scores; where none is known, the prediction corrected by its model's mean residual."""
    known = np.isfinite(sample.score) & np.isfinite(sample.quality)
    weight = np.where(known, sample.weight[:, None], 0.0)
    residual = np.where(known, sample.score - sample.quality, 0.0)
    bias = (weight * residual).sum(axis=0) / np.maximum(weight.sum(axis=0), 1.0)
    return np.where(known, sample.score, np.clip(sample.quality + bias, 0.0, 1.0))


def _climb(cost: Floats, worth: Floats, counted: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Breakpoints of all rows together.

    Args:
        cost: (N, M), infinite where the model cannot serve.
        worth: (N, M), what choices count as quality.
        counted: (F, N, M) figures to average.
        weight: (N,) that sums to 1.

    Returns:
        Multipliers (B,) ascending and the averages (F, B) at and above each; the first stands for the cheapest.
    """
    every = np.arange(len(cost))
    cheapest = cost == cost.min(axis=1, keepdims=True)
    chosen = np.where(cheapest, worth, -np.inf).argmax(axis=1)
    start = counted[:, every, chosen] @ weight
    prices, changes = [], []
    live = every
    while len(live):
        now = chosen[live]
        gain = worth[live] - worth[live, now][:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            price = np.where(gain >= LEAST_GAIN, (cost[live] - cost[live, now][:, None]) / gain, np.inf)
        then = price.argmin(axis=1)
        at = price[np.arange(len(live)), then]
        climbs = np.isfinite(at)
        live, now, then = live[climbs], now[climbs], then[climbs]
        prices.append(at[climbs])
        changes.append((counted[:, live, then] - counted[:, live, now]) * weight[live])
        chosen[live] = then
    price, change = np.concatenate(prices), np.concatenate(changes, axis=1)
    order = np.argsort(price, kind="stable")
    steps = np.concatenate([start[:, None], change[:, order]], axis=1).cumsum(axis=1)
    return np.concatenate([[0.0], price[order]]), steps


def _knots(price: Floats, steps: Floats) -> Curve:
    """Thins the breakpoints to KNOTS at even progress in quality and cost."""
    last_of_equals = np.append(price[1:] > price[:-1], True)
    price, steps = price[last_of_equals], steps[:, last_of_equals]
    predicted, cost = np.maximum.accumulate(steps[0]), np.maximum.accumulate(steps[2])
    progress = _share(predicted) + _share(cost)
    keep = np.unique(np.searchsorted(progress, np.linspace(0.0, progress[-1], KNOTS)))
    # A knot lies in the middle of the multipliers that make the same choices: a live query a little unlike the
    # sample's then still falls on the same side.
    low = np.maximum(price, LEAST_MULTIPLIER)
    low[0] = max(LEAST_MULTIPLIER, low[min(1, len(low) - 1)] / BEYOND**2)
    high = np.append(low[1:], low[-1] * BEYOND**2)
    return Curve(
        multiplier=np.sqrt(low * high)[keep],
        predicted=predicted[keep],
        realised=isotonic(steps[1][keep]),
        cost_usd=cost[keep],
        predicted_sd=_deviation(steps[3], steps[0])[keep],
        cost_sd=_deviation(steps[4], steps[2])[keep],
    )


def _deviation(square: Floats, mean: Floats) -> Floats:
    return np.sqrt(np.maximum(square - np.square(mean), 0.0))


def _share(values: Floats) -> Floats:
    span = values[-1] - values[0]
    return (values - values[0]) / span if span > 0 else np.zeros_like(values)


def isotonic(values: Floats) -> Floats:
    """The never-falling sequence nearest to the values (least squares): pools adjacent violators."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] >= mean:
            mean = (mean * size + means[-1] * sizes[-1]) / (size + sizes[-1])
            size += sizes.pop()
            means.pop()
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)
