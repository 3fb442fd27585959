"""From the parts' opinions to one calibrated estimate, with weights fitted on queries that the parts had not seen.

Each part's deviation from the prior (on the logit scale) is split in two: what it says of the prompt for all heads
alike, and what it says of one head against the others; each half has its own weight. Both are soon wrong away from
home: from the distance `edge`, which most queries at home do not reach, they are believed less. A choice between models
rests on the second half, where a difference of nearly nothing decides as firmly as a large one: it loses a constant, so
that small ones are gone and large ones stay. What is common fades in proportion. Where the gate hardly tells home from
abroad, home too seems far: a doubt that began at 0 would silence what is known. And where choosing by the second half,
on tasks left out, would have lost to always taking the model that is best on average, none of this is done, but it is
smaller for all queries, until it would not. From `cut` on nothing but the prior counts, exactly: there the smallest
deviation would decide, and decide badly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from predictors.gate import Gate, fit_gate
from predictors.logits import sigmoid
from predictors.opinions import PARTS, Opinions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

LEAST = 100  # scores below which the defaults serve
HIGHEST = 3.0  # of a weight
EDGE = 0.6  # share of the queries of random folds that are nearer than where doubt begins
DOUBTED = 0.5  # distance from the edge to where doubt is full
SMALL = 0.2  # logits that a head's own deviation then loses; .15 and .25 do nearly as well, halving does worse
FADED = 0.8  # of what is common that is then lost; .6 to 1 choose alike, but the more the worse calibrated at home
HOME = 0.97  # share of the queries of random folds that count as at home, where history tells tasks left out apart
SHARES = (1.0, 0.8, 0.65, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1)  # of own deviations that may be kept
LOSS = 1e-3  # of the mean score, that a choice by them may lose where a task was left out; or twice its standard error
CUT = 0.5  # at least: there a query is as likely of a task left out as not
FAR_WEIGHT = 0.5  # of a query whose task was left out, beside one of a random fold, where variance is measured
PULL_WEIGHT, PULL_BIAS = 100.0, 20.0  # pseudo-answers that hold to the defaults, and biases to 0
DEFAULTS = {"network": 0.25, "tasks": 0.25, "near": 0.5}
VARIANCE = (0.05**2, 0.15**2, 1.0)  # of an estimate, where there is too little to measure
LEAST_VARIANCE = 0.02**2


@dataclass(frozen=True, slots=True)
class Stack:
    """The fitted mix.

    Args:
        gate: how far a query is.
        weight: (2, len(PARTS)) float64, of common and of own deviations, not negative.
        bias: (H,) float64, of the head's own.
        edge: (1,) float64, distance from which on deviations are doubted.
        cut: (1,) float64, distance from which on the prior stands alone.
        variance: (3,) float64, of an estimate: near, far, and per squared sd between the network's members.
    """

    gate: Gate
    weight: Doubles
    bias: Doubles
    edge: Doubles
    cut: Doubles
    variance: Doubles

    def __call__(self, opinions: Opinions) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """(Q, H) expected score and its standard deviation, and (Q, 1) whether anything but the prior counts."""
        far = self.gate(opinions.signals)
        quality = self.quality(opinions, far)
        spread = _spread(opinions, far, quality)
        deviation = np.sqrt(self.variance @ spread.reshape(len(spread), -1)).astype(np.float32)
        return quality, deviation.reshape(quality.shape), far < self.cut

    def quality(self, opinions: Opinions, far: Floats) -> Floats:
        """(Q, H) expected score of queries at (Q, 1) distances."""
        common, own = opinions.halves()
        alike = (self.weight[0] @ common)[:, None]
        # A head speaks for itself only where it has answered.
        apart = (self.weight[1] @ own.reshape(len(own), -1)).reshape(own.shape[1:]) * opinions.coverage + self.bias
        doubt = np.minimum(np.maximum((far - self.edge) / DOUBTED, 0), 1)
        least = SMALL * doubt
        apart -= np.minimum(np.maximum(apart, -least), least)
        return sigmoid(opinions.prior + (far < self.cut) * ((1 - FADED * doubt) * alike + apart))


def fit_stack(
    near: Opinions,
    far: Opinions,
    score: Doubles,
    *,
    partner: NDArray[np.int64],
    parts: tuple[str, ...] = PARTS,
) -> Stack:
    """The mix that predicts best.

    Args:
        near: of Q queries, by parts that were not trained on them, but on the rest of their task.
        far: of the same queries, by parts that were not trained on any query of their task.
        score: (Q, H) 0..1, NaN where not known.
        partner: (Q,) row of a query alike, -1 where there is none: what two alike are missed by together is the
            estimate's error, for the luck of single answers is their own.
        parts: which may have a weight.
    """
    start = _defaults(parts)
    heads = score.shape[1]
    gate = fit_gate(near.signals, far.signals)
    edge, cut = np.quantile(gate(near.signals), [EDGE, HOME]) if len(score) else (0.0, CUT)
    stack = Stack(gate, start, np.zeros(heads), np.array([edge]), np.array([max(CUT, cut)]), np.array(VARIANCE))
    if (~np.isnan(score)).sum() < LEAST:
        return stack
    most: Doubles = np.where(start > 0, HIGHEST, 0.0)
    fitted = _with_weights(stack, near, score, least=np.zeros_like(start), most=most)
    share = _earned(fitted, far, score)
    if share < 1:
        # Alike near and far, as no distance tells where they are right; and the rest is fitted to what they still say.
        held = share * fitted.weight[1]
        smaller = replace(stack, weight=np.stack([start[0], held]), edge=np.ones(1))
        least, most = np.stack([np.zeros_like(held), held]), np.stack([most[0], held])
        fitted = _with_weights(smaller, near, score, least=least, most=most)
    stack = fitted
    both, target = Opinions.concatenate([near, far]), np.concatenate([score, score])
    importance = np.repeat([1.0, FAR_WEIGHT], len(score))
    away = gate(both.signals)
    quality = stack.quality(both, away)
    mates = np.concatenate([partner, np.where(partner < 0, -1, partner + len(score))])
    return replace(stack, variance=_variance(target - quality, _spread(both, away, quality), mates, importance))


def _with_weights(stack: Stack, near: Opinions, score: Doubles, *, least: Doubles, most: Doubles) -> Stack:
    """Weights between `least` and `most`, and biases, fitted as if every query were at home."""
    from scipy.optimize import minimize  # noqa: PLC0415 - of fitting alone: serving imports no scipy

    rows, head = np.nonzero(~np.isnan(score))
    common, own = near.halves()
    terms = np.concatenate([common[:, rows], own[:, rows, head] * near.coverage[rows, head]]).T
    base = np.broadcast_to(near.prior, score.shape)[rows, head].astype(np.float64)
    target, heads, count = score[rows, head], score.shape[1], stack.weight.size
    pull = np.repeat([PULL_WEIGHT, PULL_BIAS], [count, heads])
    wanted = np.append(stack.weight.ravel(), np.zeros(heads))

    def loss(values: Doubles) -> tuple[float, Doubles]:
        line = base + terms @ values[:count] + values[count:][head]
        moved, miss = values - wanted, sigmoid(line) - target
        total = float((np.logaddexp(0, line) - target * line).sum()) + 0.5 * float(pull @ moved**2)
        slope = np.append(terms.T @ miss, np.bincount(head, miss, minlength=heads))
        return total, np.asarray(slope + pull * moved, np.float64)

    bounds = [*zip(least.ravel(), most.ravel(), strict=True), *[(-2.0, 2.0)] * heads]
    found = minimize(loss, wanted, jac=True, method="L-BFGS-B", bounds=bounds).x
    return replace(stack, weight=found[:count].reshape(stack.weight.shape), bias=found[count:])


def _earned(stack: Stack, far: Opinions, score: Doubles) -> float:
    """The share of the own deviations that a choice between heads bears where the task was left out.

    A gate that cannot tell such queries from those at home leaves them a choice by noise; and the one that is taken is
    the most over-estimated.
    """
    known = ~np.isnan(score)
    distance = stack.gate(far.signals)

    def won(estimate: Floats) -> Doubles:
        taken = np.where(known, estimate, -np.inf).argmax(axis=1)
        reward: Doubles = np.nan_to_num(score)[np.arange(len(score)), taken]
        return reward

    plain = won(np.broadcast_to(far.prior, score.shape))
    for share in SHARES:
        smaller = stack
        if share < 1:
            smaller = replace(stack, weight=stack.weight * [[1.0], [share]], bias=stack.bias * share, edge=np.ones(1))
        gain = won(smaller.quality(far, distance)) - plain
        if gain.mean() >= -max(LOSS, 2 * gain.std() / len(gain) ** 0.5):
            break
    return share


def _variance(missed: Doubles, spread: Floats, mates: NDArray[np.int64], importance: Doubles) -> Doubles:
    """(3,) from (Q, H) misses and (3, Q, H) spread, by pairs of queries alike."""
    from scipy.optimize import nnls  # noqa: PLC0415 - of fitting alone: serving imports no scipy

    rows = np.flatnonzero(mates >= 0)
    together = missed[rows] * missed[mates[rows]]
    known = ~np.isnan(together)
    if known.sum() < LEAST:
        return np.array(VARIANCE)
    weight = np.repeat(importance[rows][:, None], missed.shape[1], axis=1)[known]
    terms = ((spread[:, rows] + spread[:, mates[rows]]) / 2)[:, known].T.astype(np.float64)
    gram = (terms * weight[:, None]).T @ terms
    gram += 1e-3 * np.trace(gram) * np.eye(len(gram)) / len(gram)
    root = np.linalg.cholesky(gram)
    found, _ = nnls(root.T, np.linalg.solve(root, (terms * weight[:, None]).T @ together[known]))
    variance: Doubles = np.maximum(found, [LEAST_VARIANCE, LEAST_VARIANCE, 0.0])
    return variance


def _spread(opinions: Opinions, far: Floats, quality: Floats) -> Floats:
    """(3, Q, H) what an estimate's variance is made of: nearness, its want, and the members' disagreement."""
    trust = (1 - far) * opinions.coverage
    spread = np.empty((3, *quality.shape), np.float32)
    spread[0], spread[1] = trust, 1 - trust
    spread[2] = np.square(quality * (1 - quality) * opinions.network_sd)
    return spread


def _defaults(parts: tuple[str, ...]) -> Doubles:
    share = sum(DEFAULTS[part] for part in parts)
    return np.array([[DEFAULTS[part] / share if part in parts else 0.0 for part in PARTS]] * 2)
