"""From the parts' opinions to one calibrated estimate, with weights fitted on queries that the parts had not seen.

Each part's deviation from the prior (on the logit scale) is split in two: what it says of the prompt for all heads
alike, and what it says of one head against the others. Each half has its own weight, and that weight runs with
`support`, the answers found near the prompt: so a query far from all history falls back to the prior, as far as whole
tasks left out of training showed that it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from predictors.logits import logit, sigmoid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

PARTS = ("network", "tasks", "near")
TERMS = 4  # per part: common and own, each with and without support
_DEFAULT = {"network": 0.5, "tasks": 0.3, "near": 0.3}  # where there are too few queries to fit
_PULL, _BIAS_PULL = 3.0, 20.0  # pseudo-answers that hold weights at their defaults and biases at 0
LEAST = 100  # scores below which the default weights serve
FULL = 16.0  # answers at which a neighbourhood counts half
FAR_SD, NEAR_SD = 0.15, 0.05  # of an estimate, where there is too little to measure


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the parts say of Q queries and H heads.

    Args:
        prior: (Q, H) or (1, H) expected score.
        network: (Q, H) logit's deviation from the prior.
        network_sd: (Q, H) of that logit, between members.
        tasks: (Q, H) expected score by the task mixture.
        near: (Q, H) expected score by neighbours.
        support: (Q, H) answers that `near` rests on.
    """

    prior: Floats
    network: Floats
    network_sd: Floats
    tasks: Floats
    near: Floats
    support: Floats

    def familiarity(self) -> Floats:
        """(Q, H) 0..1: how much of a full neighbourhood is there."""
        return self.support / (self.support + np.float32(FULL))

    def terms(self) -> Iterator[Floats]:
        """TERMS (Q, H) arrays for each of PARTS, in order."""
        base = logit(self.prior)
        trust = self.familiarity()
        even = np.ones_like(trust)
        asked = self.support + np.float32(1e-6)
        deviations = ((self.network, even), (logit(self.tasks) - base, even), (logit(self.near) - base, asked))
        for deviation, weight in deviations:
            common = (deviation * weight).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
            own = (deviation - common) * (1 if weight is even else trust)
            for half in (common * even, own):
                yield half * trust
                yield half * (1 - trust)

    def rows(self, index: NDArray[np.int64]) -> Opinions:
        """Of those queries alone."""
        return Opinions(*(table[index] for table in self.whole()))

    @staticmethod
    def concatenate(several: list[Opinions]) -> Opinions:
        """One after another; priors may differ."""
        return Opinions(*(np.concatenate(tables) for tables in zip(*(each.whole() for each in several), strict=True)))

    def whole(self) -> tuple[Floats, ...]:
        """Every table as (Q, H), in the order of the fields."""
        prior = np.broadcast_to(self.prior, self.near.shape)
        return prior, self.network, self.network_sd, self.tasks, self.near, self.support


@dataclass(frozen=True, slots=True)
class Stack:
    """The fitted mix.

    Args:
        weight: (len(PARTS) * TERMS,) float64, not negative.
        bias: (H,) float64, added to the logit.
        variance: (2,) float64, of an estimate: where support is full, and added where there is none.
    """

    weight: Doubles
    bias: Doubles
    variance: Doubles

    def __call__(self, opinions: Opinions) -> tuple[Floats, Floats]:
        """(Q, H) expected score and its standard deviation."""
        value = logit(opinions.prior) + self.bias.astype(np.float32)
        for weight, term in zip(self.weight, opinions.terms(), strict=True):
            if weight:
                value = value + np.float32(weight) * term
        quality = sigmoid(value)
        slope = quality * (1 - quality)
        distance = 1 - opinions.familiarity()
        spread = self.variance[0] + self.variance[1] * distance**2 + (slope * opinions.network_sd) ** 2
        return quality, np.sqrt(spread).astype(np.float32)


def default_stack(heads: int, parts: tuple[str, ...] = PARTS) -> Stack:
    """Weights for histories too small to fit any."""
    return Stack(_defaults(parts), np.zeros(heads), np.array([NEAR_SD**2, FAR_SD**2]))


def fit_stack(opinions: Opinions, score: Doubles, row_weight: Doubles, parts: tuple[str, ...] = PARTS) -> Stack:
    """The weights that predict best.

    Args:
        opinions: of queries that the parts were not trained on, Q of them.
        score: (Q, H) 0..1, NaN where not known.
        row_weight: (Q,) what each query counts.
        parts: which may have a weight.
    """
    rows, heads = np.nonzero(~np.isnan(score))
    if rows.size < LEAST:
        return default_stack(score.shape[1], parts)
    target = score[rows, heads]
    importance = row_weight[rows]
    columns = np.stack([term[rows, heads] for term in opinions.terms()], axis=1).astype(np.float64)
    start = _defaults(parts)
    base = logit(np.broadcast_to(opinions.prior, score.shape)[rows, heads]).astype(np.float64)
    allowed = np.repeat([part in parts for part in PARTS], TERMS)

    def loss(values: Doubles) -> tuple[float, Doubles]:
        weight, bias = values[: start.size], values[start.size :]
        line = base + columns @ weight + bias[heads]
        miss = importance * (sigmoid(line) - target)
        total = float(importance @ (np.logaddexp(0, line) - target * line))
        total += 0.5 * _PULL * float(((weight - start) ** 2).sum()) + 0.5 * _BIAS_PULL * float(bias @ bias)
        slope_weight = columns.T @ miss + _PULL * (weight - start)
        slope_bias = np.bincount(heads, miss, minlength=score.shape[1]) + _BIAS_PULL * bias
        return total, np.concatenate([slope_weight, slope_bias])

    bounds = [(0.0, 3.0 if each else 0.0) for each in allowed] + [(-2.0, 2.0)] * score.shape[1]
    found = minimize(
        loss, np.concatenate([start, np.zeros(score.shape[1])]), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return Stack(found.x[: start.size], found.x[start.size :], np.array([NEAR_SD**2, FAR_SD**2]))


def _defaults(parts: tuple[str, ...]) -> Doubles:
    share = sum(_DEFAULT[part] for part in parts)
    weights = [[_DEFAULT[part] / share, 0.0] * 2 if part in parts else [0.0] * TERMS for part in PARTS]
    return np.array(weights).ravel()
