"""Groups that are never smaller than asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.cells import cells, cells_by_pattern

counts = st.integers(0, 90)
sizes = st.integers(1, 9)


@given(counts, sizes, st.integers(0, 3))
def test_every_cell_is_large_enough_and_none_is_huge(count: int, size: int, width: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, width))
    held = np.bincount(cells(points, size), minlength=1)
    if count:
        assert held.min() >= min(size, count)
        assert held.max() < max(2 * size, count + 1 if count < size else 2 * size)


@given(counts, sizes)
def test_rows_of_a_cell_know_the_same_columns(count: int, size: int) -> None:
    rng = np.random.default_rng(count)
    known = rng.random((count, 2)) < 0.6
    cell = cells_by_pattern(rng.normal(size=(count, 2)), known, size)
    for each in set(cell.tolist()) - {-1}:
        members = known[cell == each]
        assert len(members) >= size
        assert (members == members[0]).all()
    left = known[cell == -1]
    for pattern in np.unique(left, axis=0):
        assert (known == pattern).all(axis=1).sum() < size


def test_neighbours_share_a_cell() -> None:
    points = np.array([[0.0], [10.0], [0.1], [10.1]])
    assert cells(points, 2).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
