"""Frontier figures against brute force, closed forms and properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lab import frontier as lab
from gateway.lab.two_models import two_models

Floats = lab.Floats


def made(seed: int, queries: int = 60, models: int = 4) -> tuple[Floats, Floats, lab.Realised]:
    draw = np.random.default_rng(seed)
    quality = draw.uniform(size=(queries, models))
    cost = draw.uniform(0.1, 1.0, size=(queries, models)) * 10.0 ** np.arange(models)
    score = (draw.uniform(size=(queries, models)) < quality).astype(np.float64)
    cheapest = np.zeros(queries, dtype=np.int64)
    best = np.full(queries, int(np.argmax(score.mean(axis=0))))
    return quality, cost, lab.Realised(score, cost, cheapest, best)


def envelope_at(points: list[tuple[float, float]], cost: float) -> float:
    """Brute force: the best mix of two points that costs no more than `cost`."""
    best = max(success for spent, success in points if spent <= cost)
    for (low, left), (high, right) in itertools.permutations(points, 2):
        if low <= cost < high:
            best = max(best, left + (right - left) * (cost - low) / (high - low))
    return best


points = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=12)


@given(points)
def test_a_hull_is_the_best_mix_of_two_points(points: list[tuple[float, float]]) -> None:
    cost, success = np.array(points).T
    curve = lab.hull(cost, success)
    asked = np.linspace(cost.min(), cost.max() * 1.1, 9)
    assert curve.at(asked) == pytest.approx([envelope_at(points, spent) for spent in asked], abs=1e-9)


@given(points)
def test_a_hull_rises_ever_more_slowly(points: list[tuple[float, float]]) -> None:
    curve = lab.hull(*np.array(points).T)
    slopes = np.diff(curve.success) / np.diff(curve.cost)
    assert np.all(slopes > 0)
    assert np.all(np.diff(slopes) < 1e-9 * np.abs(slopes[:-1]) + 1e-12)


def test_aiq_is_the_mean_height() -> None:
    curve = lab.hull(np.array([1.0, 2.0, 4.0]), np.array([0.2, 0.6, 0.8]))
    assert lab.aiq(curve, 1.0, 4.0) == pytest.approx((0.4 * 1 + 0.7 * 2) / 3)
    assert lab.aiq(curve, 3.0, 5.0) == pytest.approx((0.75 + 0.8) / 2)
    assert lab.aiq(curve, 2.0, 2.0) == pytest.approx(0.6)


def test_the_cost_of_a_success_lies_on_the_hull() -> None:
    curve = lab.hull(np.array([1.0, 3.0]), np.array([0.4, 0.8]))
    assert curve.cost_at(0.6) == pytest.approx(2.0)
    assert curve.cost_at(0.1) == 1.0
    assert curve.cost_at(0.81) == float("inf")


def test_a_price_of_nothing_buys_the_cheapest_and_a_high_price_the_best() -> None:
    quality, cost, realised = made(3)
    choice = lab.sweep(quality, cost, realised)
    assert np.array_equal(choice[0], cost.argmin(axis=1))
    assert np.array_equal(choice[-1], quality.argmax(axis=1))


def test_predicted_quality_and_cost_rise_with_the_price() -> None:
    quality, cost, realised = made(4)
    choice = lab.sweep(quality, cost, realised)
    rows = np.arange(len(quality))
    for predicted in (quality, cost):
        means = predicted[rows, choice].mean(axis=1)
        assert np.all(np.diff(means) >= -1e-9)


def test_a_fine_sweep_loses_nothing_against_every_price_there_is() -> None:
    quality, cost, realised = made(5)
    known = lab.Realised(quality, cost, realised.cheapest, realised.best)
    assert lab.aiq_of(quality, cost, known) == pytest.approx(lab.aiq_of(quality, cost, known, 4096), abs=2e-3)


def test_constants_make_the_hull_of_the_single_models() -> None:
    _, cost, realised = made(6, queries=400)
    flat = np.repeat(realised.score.mean(axis=0)[None], 400, axis=0)
    dear = np.repeat(cost.mean(axis=0)[None], 400, axis=0)
    summary = lab.summary_of(lab.sweep(flat, dear, realised), realised)
    curve = lab.hull(cost.mean(axis=0), realised.score.mean(axis=0))
    best = int(realised.best[0])
    assert summary.aiq == pytest.approx(lab.aiq(curve, cost[:, 0].mean(), cost[:, best].mean()))
    assert summary.peak == pytest.approx(realised.score[:, best].mean())
    assert summary.cr100 == pytest.approx(1.0)


def test_true_outcomes_bound_every_prediction() -> None:
    quality, cost, realised = made(7)
    oracle = lab.aiq_of(realised.score, cost, realised)
    assert oracle >= lab.aiq_of(quality, cost, realised)
    assert lab.gap_closed(oracle, 0.5, oracle) == 1.0
    assert lab.gap_closed(0.5, 0.5, 0.5) == 0.0


def test_a_model_that_did_not_answer_is_never_chosen() -> None:
    quality, cost, realised = made(8)
    score = realised.score.copy()
    score[::2, 3] = np.nan
    sparse = lab.Realised(score, cost, realised.cheapest, np.full(60, 3))
    choice = lab.sweep(quality, cost, sparse)
    assert np.isfinite(sparse.picked(choice)[1]).all()
    assert np.isfinite(list(lab.anchors(sparse)[1])).all()


def test_one_free_model_is_its_own_frontier() -> None:
    score = np.array([[1.0], [0.0]])
    only = np.zeros(2, dtype=np.int64)
    realised = lab.Realised(score, np.zeros((2, 1)), only, only)
    summary = lab.summary_of(lab.sweep(score, realised.cost, realised), realised)
    assert (summary.aiq, summary.cr95) == (0.5, 1.0)


def test_two_models_by_hand() -> None:
    weak, strong = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 1.0])
    perfect = two_models(strong - weak, weak, strong)
    assert perfect.apgr == pytest.approx(0.75)
    assert (perfect.cpt50, perfect.cpt80) == pytest.approx((0.25, 0.4))
    coin = two_models(np.zeros(4), weak, strong)
    assert coin.apgr == pytest.approx(0.5)
    assert (coin.cpt50, coin.cpt80) == pytest.approx((0.5, 0.8))


def test_two_models_without_a_lead_are_a_coin() -> None:
    same = np.array([1.0, 0.0])
    assert two_models(np.array([0.3, 0.1]), same, same).apgr == 0.5
