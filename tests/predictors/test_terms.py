"""Counted n-grams, against counting one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.terms import count_terms, project_terms

WIDTH = 5  # columns that are kept; one more stands for all that are not
rows_of_columns = st.lists(st.lists(st.integers(0, WIDTH), max_size=30), min_size=1, max_size=4)


@given(rows_of_columns)
def test_terms_are_counted_row_by_row(several: list[list[int]]) -> None:
    rows = np.repeat(np.arange(len(several)), [len(each) for each in several])
    columns = np.array([column for each in several for column in each], np.uint16)
    (times, distinct, start), known = count_terms(rows, columns, len(several), WIDTH)
    for row, each in enumerate(several):
        own = slice(int(start[row]), int(start[row + 1]))
        assert dict(zip(distinct[own].tolist(), times[own].tolist(), strict=True)) == Counter(each)
        kept = sum(column < WIDTH for column in each)
        assert abs(known[row] - kept / max(1, len(each))) < 1e-6
    assert start[0] == 0
    assert start[-1] == len(distinct)


def test_what_is_not_kept_has_no_share_in_the_product() -> None:
    directions = np.arange(10, dtype=np.float32).reshape(WIDTH, 2)
    weight = np.array([1, 2, 3, 4, 5, 0], np.float32)
    found = np.empty((2, 2), np.float32)
    for row, columns in enumerate(([1, 3], [1, 3, WIDTH, WIDTH])):
        terms, _ = count_terms(np.zeros(len(columns), np.int64), np.array(columns), 1, WIDTH)
        project_terms(terms, weight, directions, found[row : row + 1])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    np.testing.assert_allclose(found[0], (2 * directions[1] + 4 * directions[3]) / 20**0.5, rtol=1e-6)
