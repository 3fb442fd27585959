"""Abilities and ease, and what they say of cells that nobody has filled."""

from __future__ import annotations

import numpy as np

from predictors.tasks import NEUTRAL, fit_tasks


def test_a_full_table_gives_back_its_means() -> None:
    score = np.array([[1, 0], [1, 1], [0, 0], [1, 0]] * 100, np.float64)
    tasks = fit_tasks(score, np.zeros(400, np.int64), 1)
    np.testing.assert_allclose(tasks.prior, score.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(tasks.mean[0], score.mean(axis=0), atol=0.02)


def test_a_head_that_was_asked_easy_things_only_is_not_taken_for_a_better_one() -> None:
    """Both heads are as good as the third, which was asked everything; each saw one task alone."""
    rng = np.random.default_rng(0)
    task = np.repeat([0, 1], 500)
    score = (rng.random((1000, 3)) < np.array([0.9, 0.3])[task][:, None]).astype(np.float64)
    score[task == 1, 0] = np.nan
    score[task == 0, 1] = np.nan
    tasks = fit_tasks(score, task, 2)
    assert abs(tasks.prior[0] - tasks.prior[1]) < 0.1
    assert abs(float(np.nanmean(score[:, 0]) - np.nanmean(score[:, 1]))) > 0.5
    assert abs(tasks.mean[1, 0] - 0.3) < 0.1


def test_a_head_without_any_score_is_neutral() -> None:
    score = np.array([[1.0, np.nan], [0.0, np.nan]])
    tasks = fit_tasks(score, np.zeros(2, np.int64), 1)
    assert abs(tasks.mean[0, 1] - NEUTRAL) < 0.1
    assert np.isfinite(tasks.prior).all()


def test_all_right_and_all_wrong_stay_inside() -> None:
    score = np.array([[1.0, 0.0]] * 50)
    tasks = fit_tasks(score, np.zeros(50, np.int64), 1)
    assert ((tasks.mean > 0) & (tasks.mean < 1)).all()
    assert tasks.mean[0, 0] > 0.9
