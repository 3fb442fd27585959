"""Probabilities and their logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EDGE = 1e-4  # a probability nearer to 0 or 1 counts as this near: its logit is about 9
LIMIT = 30.0
# As arrays of no dimension: a number would be made one at every use, which takes as long as the sum of one row.
_ONE, _LIMIT, _LEAST, _MOST = (np.array(each, np.float32) for each in (1, LIMIT, EDGE, 1 - EDGE))


def logit(share: NDArray[np.floating]) -> Floats:
    """log(p / (1 - p)), finite for every p in 0..1."""
    inner = np.maximum(share, _LEAST)  # np.clip takes longer than the logarithm of one row
    np.minimum(inner, _MOST, out=inner)
    inner /= _ONE - inner
    value: Floats = np.log(inner, out=inner).astype(np.float32, copy=False)
    return value


def sigmoid(value: NDArray[np.floating]) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    power = np.minimum(-value, _LIMIT)
    np.exp(power, out=power)
    power += _ONE
    share: Floats = np.divide(_ONE, power, out=power).astype(np.float32, copy=False)
    return share
