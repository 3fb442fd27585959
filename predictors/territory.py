"""Where the tasks of a history lie in some space, and how far outside all of them a point is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

RIDGE = 0.01  # added to the spread of every direction, as a share of the mean spread
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Territory:
    """G tasks in K dimensions that are scaled so that a task's points spread evenly.

    Args:
        scaling: (K, K) float32.
        centres: (G, K) float32, scaled.
    """

    scaling: Floats
    centres: Floats
    _both: Floats = field(init=False, repr=False)  # (K, K + G) what scales a point, and its products with the centres
    _size: Floats = field(init=False, repr=False)  # (G,) squared distance of the centres from 0

    def __post_init__(self) -> None:
        pull = self.scaling.astype(np.float64) @ (-2 * self.centres.T)
        object.__setattr__(self, "_both", np.concatenate([self.scaling, pull], axis=1, dtype=np.float32))
        object.__setattr__(self, "_size", np.square(self.centres).sum(axis=1))

    def nearness(self, points: Floats) -> Floats:
        """(Q, 1) minus the logarithm of the squared distance of (Q, K) points to the nearest task's centre."""
        if not len(self.centres):
            return np.zeros((len(points), 1), np.float32)
        both = points.dot(self._both)
        scaled, pulled = both[:, : len(self.scaling)], both[:, len(self.scaling) :]
        # |x - c|^2 = |x|^2 + (|c|^2 - 2 xc), and the first term is the same for all centres.
        pulled += self._size
        distance = np.minimum.reduce(pulled, axis=1) + np.vecdot(scaled, scaled)
        near: Floats = -np.log(np.maximum(distance, _LEAST))
        return near[:, None]


def fit_territory(points: Floats, task: NDArray[np.int64]) -> Territory:
    """From (Q, K) points and their (Q,) tasks 0..G-1."""
    number = int(task.max(initial=-1)) + 1
    width = points.shape[1]
    if not number or not width:
        return Territory(np.eye(width, dtype=np.float32), np.zeros((0, width), np.float32))
    member = (task[:, None] == np.arange(number)).astype(np.float32)
    centres = (member.T @ points) / np.maximum(member.sum(axis=0)[:, None], 1)
    inside = (points - centres[task]).astype(np.float64)
    spread = inside.T @ inside / len(points)
    values, vectors = np.linalg.eigh(spread)
    floor = RIDGE * max(float(values.mean()), _LEAST)
    scaling = ((vectors / np.sqrt(np.maximum(values, 0) + floor)) @ vectors.T).astype(np.float32)
    return Territory(scaling, centres @ scaling)
