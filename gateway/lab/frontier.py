"""Cost against success: what a sweep of the price of quality buys, and the figures that sum it up.

Everything is pure numpy over N queries by M models. Choices are made on predicted quality and cost; success and cost
are counted on what was realised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

STEPS = 256  # prices in a sweep; at 1,024 the AIQ of our pools moves by less than 0.0003


@dataclass(frozen=True, slots=True)
class Realised:
    """What came of N queries, and the two static choices to measure against.

    Args:
        score: (N, M) 0..1; NaN where the model did not answer, and such a cell is never chosen.
        cost: (N, M) USD, known wherever the score is.
        cheapest: (N,) the model that was cheapest on average on the training data of that query's fold.
        best: (N,) the model with the best mean score there.
    """

    score: Floats
    cost: Floats
    cheapest: Ints
    best: Ints

    def picked(self, choice: Ints) -> tuple[Floats, Floats]:
        """(cost, score) of each query under `choice`, (N,) or (L, N); the shape is that of `choice`."""
        rows = np.arange(len(self.score))
        return self.cost[rows, choice], self.score[rows, choice]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of cost (USD per query) and success, ascending in both where it is a hull."""

    cost: Floats  # (P,)
    success: Floats  # (P,)

    def at(self, cost: Floats) -> Floats:
        """Success at each cost: linear between points, flat outside."""
        return np.interp(cost, self.cost, self.success)

    def cost_at(self, success: float) -> float:
        """The least cost that reaches `success`; infinite where the curve does not."""
        if success > self.success[-1] + 1e-12:
            return float("inf")
        return float(np.interp(success, self.success, self.cost))


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one frontier; definitions in docs/evaluation.md."""

    aiq: float
    peak: float  # highest success of any point of the sweep
    cr95: float  # cost at 95 % of the best single model's success, as a share of that model's cost
    cr99: float
    cr100: float


def prices(quality: Floats, cost: Floats, steps: int = STEPS) -> Floats:
    """(steps,) prices of quality, from 0 to beyond where only quality counts, dense where choices change.

    Between any two models of one query the choice turns at (cost difference)/(quality difference); the prices are the
    quantiles of those turns over all queries and pairs.
    """
    turns = []
    for shift in range(1, quality.shape[1]):
        gained = np.roll(quality, shift, axis=1) - quality
        paid = np.roll(cost, shift, axis=1) - cost
        turning = (gained > 0) & (paid > 0)
        turns.append(paid[turning] / gained[turning])
    turned = np.concatenate([*turns, np.empty(0)])
    if not turned.size:
        return np.linspace(0.0, 1.0, steps)
    inner = np.quantile(turned, np.linspace(0.0, 1.0, steps - 2))
    return np.concatenate([[0.0], inner, [turned.max() * 1e3]])


def choose(quality: Floats, cost: Floats, price: float, allowed: NDArray[np.bool_] | None = None) -> Ints:
    """(N,) each query's argmin of cost - price x quality; a tie goes to the better, then the first model."""
    value = cost - price * quality
    if allowed is not None:
        value = np.where(allowed, value, np.inf)
    tied = value <= value.min(axis=1, keepdims=True)
    choice: Ints = np.argmax(np.where(tied, quality, -np.inf), axis=1)
    return choice


def sweep(quality: Floats, cost: Floats, realised: Realised, steps: int = STEPS) -> Ints:
    """(steps, N) choices as the price of quality rises."""
    allowed = np.isfinite(realised.score)
    return np.stack([choose(quality, cost, price, allowed) for price in prices(quality, cost, steps)])


def hull(cost: Floats, success: Floats) -> Curve:
    """The non-decreasing concave envelope of points (P,), as its corners."""
    order = np.lexsort((-success, cost))
    xs: list[float] = []
    ys: list[float] = []
    for x, y in zip(cost[order].tolist(), success[order].tolist(), strict=True):
        if ys and y <= ys[-1]:
            continue
        while len(xs) > 1 and (ys[-1] - ys[-2]) * (x - xs[-2]) <= (y - ys[-2]) * (xs[-1] - xs[-2]):
            xs.pop()
            ys.pop()
        xs.append(x)
        ys.append(y)
    return Curve(np.array(xs), np.array(ys))


def aiq(curve: Curve, low: float, high: float) -> float:
    """Mean height of a hull over costs `low` to `high`; its height at `low` where they are one."""
    if high <= low:
        return float(curve.at(np.array(low)))
    inside = curve.cost[(curve.cost > low) & (curve.cost < high)]
    costs = np.concatenate([[low], inside, [high]])
    return float(np.trapezoid(curve.at(costs), costs) / (high - low))


def summarise(cost: Floats, success: Floats, cheapest: tuple[float, float], best: tuple[float, float]) -> Summary:
    """Figures of a sweep's points (L,), given (cost, success) of the cheapest and of the best single model."""
    return figures(envelope(cost, success, cheapest), float(success.max()), cheapest[0], best)


def envelope(cost: Floats, success: Floats, cheapest: tuple[float, float]) -> Curve:
    """The hull of a sweep's points (L,) with the cheapest single model added."""
    return hull(np.append(cost, cheapest[0]), np.append(success, cheapest[1]))


def figures(curve: Curve, peak: float, low: float, best: tuple[float, float]) -> Summary:
    """Figures of a hull between the cheapest model's cost and the best model's (cost, success)."""
    ratios = [curve.cost_at(share * best[1]) / best[0] if best[0] > 0 else 1.0 for share in (0.95, 0.99, 1.0)]
    return Summary(aiq(curve, low, best[0]), peak, *ratios)


def aiq_of(quality: Floats, cost: Floats, realised: Realised, steps: int = STEPS) -> float:
    """AIQ of predictions (N, M), from predicted quality and cost alone."""
    return summary_of(sweep(quality, cost, realised, steps), realised).aiq


def summary_of(choice: Ints, realised: Realised) -> Summary:
    """Figures of choices (L, N), each row one point of the sweep."""
    cost, score = realised.picked(choice)
    return summarise(cost.mean(axis=1), score.mean(axis=1), *anchors(realised))


def anchors(realised: Realised) -> tuple[tuple[float, float], tuple[float, float]]:
    """(cost, success) of the cheapest and of the best single model, over the queries that they answered."""
    return _static(realised, realised.cheapest), _static(realised, realised.best)


def _static(realised: Realised, choice: Ints) -> tuple[float, float]:
    cost, score = realised.picked(choice)
    return _mean(np.where(np.isfinite(score), cost, np.nan)), _mean(score)


def gap_closed(value: float, constant: float, oracle: float) -> float:
    """Share of the way from the constants' AIQ to the oracle's."""
    return (value - constant) / (oracle - constant) if oracle > constant else 0.0


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
