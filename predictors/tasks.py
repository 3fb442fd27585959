"""How able each head is and how easy each task: what fills in a task that a model has never been asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.logits import logit, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

NEUTRAL = 0.5  # the mean of a head nobody has asked anything
STRENGTH = 8.0  # answers that the additive fit is worth beside a task's own
_RIDGE = 0.5  # pseudo-answers that hold abilities and ease toward the middle
_ROUNDS, _SETTLED = 25, 1e-6


@dataclass(frozen=True, slots=True)
class Tasks:
    """G tasks by H heads.

    Args:
        mean: (G, H) float32, expected score of each head on each task.
        prior: (H,) float32, expected score over the mix of all tasks, so that heads of different pools compare.
    """

    mean: Floats
    prior: Floats


def fit_tasks(score: Doubles, task: NDArray[np.int64], tasks: int) -> Tasks:
    """From (Q, H) scores, NaN where not known, and (Q,) tasks 0..G-1. Heads without any score get NEUTRAL ability."""
    known = ~np.isnan(score)
    belongs = (task[:, None] == np.arange(tasks)).astype(np.float64)
    count = belongs.T @ known
    total = belongs.T @ np.where(known, score, 0)
    expected = _additive(count, total)
    mean = (total + STRENGTH * expected) / (count + STRENGTH)
    share = belongs.sum(axis=0) / max(1, len(score))
    answered = count.sum(axis=0)
    own = np.divide(total.sum(axis=0), answered, out=np.full(answered.shape, NEUTRAL), where=answered > 0)
    # The mix counts each head's own answers as they fell; only the tasks it was not asked are filled in.
    missing = np.where(count > 0, 0, share[:, None])
    prior = own * (1 - missing.sum(axis=0)) + (missing * mean).sum(axis=0)
    return Tasks(mean.astype(np.float32), prior.astype(np.float32))


def _additive(count: Doubles, total: Doubles) -> Doubles:
    """(G, H) expected scores by ability of the head plus ease of the task, on the logit scale; Newton's method."""
    tasks, heads = count.shape
    design = np.zeros((tasks * heads, tasks + heads))
    design[np.arange(tasks * heads), np.repeat(np.arange(tasks), heads)] = 1
    design[np.arange(tasks * heads), tasks + np.tile(np.arange(heads), tasks)] = 1
    middle = float(logit(np.array([total.sum() / count.sum()]))[0]) if count.sum() else 0.0
    weight, hits = count.ravel(), total.ravel()
    values = np.zeros(tasks + heads)
    for _ in range(_ROUNDS):
        level = sigmoid(design @ values + middle).astype(np.float64)
        curve = design.T @ (design * (weight * level * (1 - level))[:, None]) + _RIDGE * np.eye(values.size)
        push = np.linalg.solve(curve, design.T @ (hits - weight * level) - _RIDGE * values)
        values += np.clip(push, -1, 1)
        if np.abs(push).max(initial=0) < _SETTLED:
            break
    expected: Doubles = sigmoid(design @ values + middle).reshape(tasks, heads).astype(np.float64)
    return expected
