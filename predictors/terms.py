"""Counted n-grams as rows of a sparse matrix, without scipy: serving has none."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Terms = tuple[Floats, NDArray[np.integer], NDArray[np.int64]]  # values, columns, and where each row starts

_LEAST = 1e-6  # length


def count_terms(
    rows: NDArray[np.int64], columns: NDArray[np.integer], height: int, width: int
) -> tuple[Terms, list[float]]:
    """How often each pair of row and column 0..width occurs, and for each row the share of columns below the last."""
    every = width + 1
    keys = np.empty(columns.size + 2, np.int64)  # one more at either end, so that every run has a change on both sides
    keys[0], keys[-1] = -1, height * every
    keys[1:-1] = columns
    if height > 1:
        keys[1:-1] += rows * every
    keys.sort()
    change = (keys[1:] != keys[:-1]).nonzero()[0]
    end = change[1:]
    distinct = keys[end]
    times = (end - change[:-1]).astype(np.float32)
    if height == 1:  # how most prompts come; where its row ends need not be looked for
        missed = times[-1] if distinct.size and distinct[-1] == width else 0.0
        return (times, distinct, np.array([0, end.size])), [1 - float(missed) / columns.size if columns.size else 0.0]
    edges = [edge for row in range(0, height * every, every) for edge in (row, row + width)]
    bounds = keys.searchsorted([*edges, height * every])
    places = bounds.tolist()
    known = [
        (kept - begin) / max(stop - begin, 1)
        for begin, kept, stop in zip(places[:-1:2], places[1::2], places[2::2], strict=True)
    ]
    return (times, distinct % every, end.searchsorted(bounds[::2])), known


def weighted(terms: Terms, weight: Floats) -> Terms:
    """Sublinear counts times inverse document frequency, each row of unit length."""
    times, columns, start = terms
    values = np.log(times)
    values += 1
    values *= weight.take(columns)
    squares = np.zeros(values.size + 1)
    np.add.accumulate(np.square(values), out=squares[1:])
    ends = squares[start]
    lengths = np.sqrt(np.maximum(ends[1:] - ends[:-1], 1e-24)).astype(np.float32)
    values /= lengths.repeat(start[1:] - start[:-1])
    return values, columns, start


def project_terms(terms: Terms, weight: Floats, directions: Floats, found: Floats) -> None:
    """Fills in the (Q, D) product of weighted terms with (V, D) directions; row by row it needs no scipy.

    (V + 1,) `weight` is 0 in the column V, of which there may be terms.
    """
    times, columns, start = terms
    values = np.log(times)
    values += 1
    values *= weight[columns]
    for row, (begin, end) in enumerate(pairwise(start.tolist())):
        line = values[begin:end]
        line /= max(sqrt(line.dot(line)), _LEAST)
        # "clip", which V needs, too: half the time of plain indexing.
        line.dot(directions.take(columns[begin:end], axis=0, mode="clip"), out=found[row])
