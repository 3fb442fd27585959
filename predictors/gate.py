"""How far a prompt is from all history, as a share: 0 is like the queries of a random fold, 1 like a task left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from predictors.logits import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

PULL = 0.01  # of the squared weights beside the mean loss
STEEPEST = 4.0  # logits for a standard deviation of one signal
UNMEASURED = -3.0  # the logit of a typical prompt where no task could be left out


@dataclass(frozen=True, slots=True)
class Gate:
    """A logistic rule over S signals of nearness. Weights are not negative: less alike is never less far.

    Args:
        weight, centre, spread: (S,) float64.
        bias: (1,) float64.
    """

    weight: Doubles
    centre: Doubles
    spread: Doubles
    bias: Doubles
    _slope: Doubles = field(init=False, repr=False)  # (S,)
    _start: Doubles = field(init=False, repr=False)  # (1,)

    def __post_init__(self) -> None:
        slope = self.weight / self.spread
        object.__setattr__(self, "_slope", slope)
        object.__setattr__(self, "_start", self.bias + self.centre @ slope)

    def __call__(self, signals: Floats) -> Floats:
        """(Q, 1) how far, 0..1, of (Q, S) signals."""
        return sigmoid(self._start - signals.dot(self._slope))[:, None]


def fit_gate(near: Floats, far: Floats) -> Gate:
    """From (N, S) signals of rows of random folds and (F, S) of rows whose whole task was left out."""
    from scipy.optimize import minimize  # noqa: PLC0415 - of fitting alone: serving imports no scipy

    both = np.concatenate([near, far]).astype(np.float64)
    count = both.shape[1]
    if not len(near) or not len(far):
        centre = both.mean(axis=0) if len(both) else np.zeros(count)
        spread = both.std(axis=0) + 0.05 if len(both) else np.ones(count)
        return Gate(np.full(count, 2 / max(1, count)), centre, spread, np.array([UNMEASURED]))
    centre, spread = both.mean(axis=0), both.std(axis=0) + 1e-3
    moved = (both - centre) / spread
    away = np.repeat([0.0, 1.0], [len(near), len(far)])
    share = np.repeat([0.5 / len(near), 0.5 / len(far)], [len(near), len(far)])

    def loss(values: Doubles) -> tuple[float, Doubles]:
        line = values[-1] - moved @ values[:-1]
        miss = share * (sigmoid(line) - away)
        total = float(share @ (np.logaddexp(0, line) - away * line)) + 0.5 * PULL * float(values[:-1] @ values[:-1])
        return total, np.append(PULL * values[:-1] - moved.T @ miss, miss.sum())

    bounds = [(0.0, STEEPEST)] * count + [(-6.0, 6.0)]
    found = minimize(loss, np.append(np.full(count, 0.5), 0.0), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Gate(found[:-1], centre, spread, found[-1:])
