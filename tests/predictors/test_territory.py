"""Where tasks lie."""

from __future__ import annotations

import numpy as np

from predictors.territory import fit_territory

RNG = np.random.default_rng(0)
CENTRES = np.array([[0, 0, 0], [8, 0, 0]], np.float32)
TASK = RNG.integers(0, 2, 500)
POINTS = (CENTRES[TASK] + RNG.normal(size=(500, 3)) * [1, 0.1, 1]).astype(np.float32)


def test_members_are_nearer_than_strangers() -> None:
    territory = fit_territory(POINTS, TASK)
    between = np.array([[4, 0, 0]], np.float32)
    assert territory.nearness(between)[0, 0] < np.quantile(territory.nearness(POINTS), 0.01)


def test_a_step_counts_by_how_much_tasks_spread_that_way() -> None:
    territory = fit_territory(POINTS, TASK)
    wide, narrow = territory.nearness(np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    assert wide > narrow


def test_no_points_and_one_point_are_legal() -> None:
    assert fit_territory(POINTS[:0], TASK[:0]).nearness(POINTS).shape == (500, 1)
    assert np.isfinite(fit_territory(POINTS[:1], np.zeros(1, np.int64)).nearness(POINTS)).all()
