"""Probabilities and their logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EDGE = 1e-4  # a probability nearer to 0 or 1 counts as this near: its logit is about 9
LIMIT = 30.0


def logit(share: NDArray[np.floating]) -> Floats:
    """log(p / (1 - p)), finite for every p in 0..1."""
    inner = np.minimum(np.maximum(share, EDGE), 1 - EDGE)  # np.clip takes longer than the logarithm of one row
    value: Floats = np.log(inner / (1 - inner)).astype(np.float32, copy=False)
    return value


def sigmoid(value: NDArray[np.floating]) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    share: Floats = (1 / (1 + np.exp(np.minimum(-value, LIMIT)))).astype(np.float32, copy=False)
    return share
