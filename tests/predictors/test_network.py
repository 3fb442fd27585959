"""The shared network learns, and repeats itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.network import fit_network

if TYPE_CHECKING:
    from numpy.typing import NDArray


def problem(count: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((count, 6), dtype=np.float32)
    score = np.stack([inputs[:, 0] > 0, inputs[:, 0] < 0, inputs[:, 1] > 0], axis=1).astype(np.float64)
    return inputs, score


def test_heads_learn_their_own_rule_from_a_part_of_the_answers() -> None:
    inputs, score = problem(1500)
    asked = score.copy()
    asked[np.random.default_rng(2).random(score.shape) < 0.4] = np.nan
    network = fit_network(inputs, asked, np.zeros(3, np.float32), np.zeros(1500, np.int64), 1, seed=0)
    right = (network(inputs).deviation > 0) == (score > 0)
    assert right.mean() > 0.9


def test_tasks_are_told_apart_and_foreign_ones_have_less_energy() -> None:
    inputs, score = problem(1500)
    task = (inputs[:, 2] > 0).astype(np.int64)
    network = fit_network(inputs, score, np.zeros(3, np.float32), task, 2, seed=0)
    read = network(inputs)
    assert (read.task.argmax(axis=1) == task).mean() > 0.9
    np.testing.assert_allclose(read.task.sum(axis=1), 1, atol=1e-5)


def test_it_is_deterministic() -> None:
    inputs, score = problem(200)
    prior, task = np.zeros(3, np.float32), np.zeros(200, np.int64)
    one, two, other = (fit_network(inputs, score, prior, task, 1, seed=seed).heads for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_no_rows_no_tasks_and_no_scores_are_legal() -> None:
    blank = np.zeros((0, 6), np.float32)
    network = fit_network(blank, np.zeros((0, 2)), np.zeros(2, np.float32), np.zeros(0, np.int64), 0, seed=0)
    read = network(np.ones((3, 6), np.float32))
    assert read.deviation.shape == (3, 2)
    assert read.task.shape == (3, 0)
    assert read.energy.shape == (3, 1)
    silent = fit_network(
        np.ones((4, 6), np.float32), np.full((4, 2), np.nan), np.zeros(2, np.float32), np.zeros(4, np.int64), 1, seed=0
    )
    assert np.isfinite(silent(np.ones((1, 6), np.float32)).deviation).all()


def test_progress_ends_at_one() -> None:
    inputs, score = problem(50)
    told: list[float] = []
    fit_network(inputs, score, np.zeros(3, np.float32), np.zeros(50, np.int64), 1, seed=0, progress=told.append)
    assert told[-1] == 1
    assert told == sorted(told)
