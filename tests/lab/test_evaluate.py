"""The whole evaluation, on a pool whose right answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway.errors import ConfigurationError
from gateway.lab import frontier
from gateway.lab.evaluate import AS_IS, REFIT, evaluate_pool, prepare
from gateway.lab.evaluate_calibration import amounts, equal_bins, reliability
from gateway.lab.evaluate_fit import estimate
from gateway.lab.evaluate_latency import latency
from gateway.lab.evaluate_results import _finite
from gateway.lab.folds import folds_of, rows_of
from tests.lab.outcomes import CHANCE, MODELS, Told, made_pool, subject

if TYPE_CHECKING:
    from gateway.lab.evaluate_results import PoolResult
    from predictors.pool import Pool

METHODS = {
    "random", "round_robin", "cheapest", "best_single", "threshold_knn16", "eccos_r", "two_model", "port", "ours",
    "constant", "knn64", "logistic", "blend2", "blend", "offline", "oracle",
}  # fmt: skip


def evaluated(pool: Pool, known: Pool | None) -> PoolResult:
    told, _ = subject(known)
    return evaluate_pool("made", pool, told, draws=30, seed=0, tell=lambda _step, _share: None)


@pytest.fixture(scope="module")
def refitted() -> PoolResult:
    pool = made_pool()
    return evaluated(pool, pool)


def test_every_baseline_stands_beside_ours(refitted: PoolResult) -> None:
    assert {method.name for method in refitted.methods} == METHODS
    assert (refitted.rule, refitted.queries, refitted.overlapping, refitted.excluded) == (REFIT, 150, 150, 0)
    assert (refitted.best_single, refitted.cheapest) == ("large", "small")


def test_a_predictor_that_knows_more_closes_more_of_the_gap(refitted: PoolResult) -> None:
    closed = {method.name: method.gap_closed.value for method in refitted.methods if method.gap_closed}
    assert closed["constant"] == pytest.approx(0.0)
    assert closed["oracle"] == pytest.approx(1.0)
    assert 0.1 < closed["offline"] < 1.0
    assert closed["ours"] > 0.1


def test_intervals_hold_their_values(refitted: PoolResult) -> None:
    for method in refitted.methods:
        if method.aiq is not None:
            assert method.aiq.low <= method.aiq.value + 0.02
            assert method.aiq.high >= method.aiq.value - 0.02
        if method.band is not None:
            assert all(low <= high for low, high in zip(method.band.low, method.band.high, strict=True))


def test_asked_averages_are_kept(refitted: PoolResult) -> None:
    assert len(refitted.promise) == 5
    for kept in refitted.promise:
        assert abs(kept.realised - kept.asked) < 0.02 + 3 * kept.error


def test_shares_are_shares(refitted: PoolResult) -> None:
    assert refitted.shares is not None
    assert np.sum(refitted.shares.share, axis=1) == pytest.approx(1.0)


def test_groups_left_out_end_with_all_together(refitted: PoolResult) -> None:
    assert [row.name for row in refitted.away] == ["proofs", "sums", "towns", "all"]
    assert refitted.away[-1].queries == 150


def test_results_are_json_without_nan(refitted: PoolResult) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    assert json.loads(json.dumps(_finite(asdict(refitted)), allow_nan=False))["queries"] == 150


def test_no_text_is_trained_on_and_asked() -> None:
    pool = made_pool(60)
    twins = replace(pool, queries=replace(pool.queries, prompts=pool.queries.prompts[:30] * 2))
    told, recipe = subject()
    part = folds_of(twins.queries.prompts)
    estimate(twins, part, told.fit)
    for number, given in zip(np.unique(part), recipe.given, strict=True):
        held = {twins.queries.prompts[row] for row in np.flatnonzero(part == number)}
        assert given.isdisjoint(held)
        assert len(given | held) == 30


def test_choices_do_not_see_the_cost_of_the_query_itself() -> None:
    pool = made_pool(60)
    told, _ = subject()
    part = folds_of(pool.queries.prompts)
    given = estimate(pool, part, told.fit)
    dear = frontier.Realised(pool.score, pool.cost[::-1], given.cheapest, given.best)
    plain = frontier.Realised(pool.score, pool.cost, given.cheapest, given.best)
    one, other = (frontier.sweep(given.quality, given.cost, each) for each in (dear, plain))
    assert np.array_equal(one, other)


def test_a_pool_that_is_new_to_the_artifact_is_predicted_as_it_is() -> None:
    told, recipe = subject(made_pool(seed=1))
    found = evaluate_pool("made", made_pool(), told, draws=20, seed=0, tell=lambda _step, _share: None)
    assert (found.rule, found.overlapping, found.away, found.fit_seconds) == (AS_IS, 0, (), ())
    assert recipe.given == []
    assert next(each for each in found.methods if each.name == "ours").gap_closed is not None


def test_known_texts_are_left_out_and_counted() -> None:
    pool = made_pool()
    told, _ = subject(rows_of(pool, np.arange(40)))
    asked = prepare("made", pool, told)
    assert (asked.rule, asked.overlapping, asked.excluded, len(asked.pool.score)) == (AS_IS, 40, 40, 110)
    assert asked.pool.queries.ids[0] == "40"


def test_a_pool_that_is_mostly_known_is_refitted_whole() -> None:
    pool = made_pool()
    told, _ = subject(rows_of(pool, np.arange(75)))
    asked = prepare("made", pool, told)
    assert (asked.rule, asked.overlapping, asked.excluded, len(asked.pool.score)) == (REFIT, 75, 0, 150)


def test_models_and_queries_that_nobody_knows_are_left_out() -> None:
    score = made_pool().score
    score[:10] = np.nan
    pool = replace(made_pool(models=("small", "strange", "large")), score=score)
    told, _ = subject(made_pool(seed=1))
    asked = prepare("made", pool, told)
    assert (asked.unknown_models, asked.unlabelled, asked.pool.models) == (("strange",), 10, ("small", "large"))


def test_an_artifact_of_other_models_is_trained_anew() -> None:
    told, _ = subject(made_pool(seed=1))
    assert prepare("made", made_pool(models=("a", "b", "c")), told).rule == REFIT


def test_too_few_queries_and_no_costs_are_errors() -> None:
    told, _ = subject()
    with pytest.raises(ConfigurationError, match="5 queries are left"):
        prepare("made", made_pool(5), told)
    with pytest.raises(ConfigurationError, match="cost:<model>"):
        prepare("made", replace(made_pool(), cost=np.full((150, 3), np.nan)), told)


def test_sparse_outcomes_and_free_models_are_legal() -> None:
    pool = made_pool()
    score, cost = pool.score.copy(), pool.cost.copy()
    score[::3, 1] = np.nan
    cost[:, 0] = 0.0
    cost[::5, 2] = np.nan
    found = evaluated(replace(pool, score=score, cost=cost), pool)
    assert {method.name for method in found.methods} == METHODS
    assert all(0 <= method.peak <= 1 for method in found.methods)


def test_reliability_of_the_true_chances_is_good() -> None:
    pool = made_pool(3000)
    quality = np.array([CHANCE[group] for group in pool.groups])
    found = reliability("told", "told", quality, pool.score, by_model=True)
    assert found.ece < 0.03
    assert found.auc > 0.6
    assert sum(each.count for each in found.bins) == pool.score.size
    assert len(found.models) == len(MODELS)


def test_bins_say_what_lies_in_them() -> None:
    low, high = equal_bins(np.array([0.12, 0.14, 1.0]), np.array([0.0, 1.0, 1.0]))
    assert low.predicted == pytest.approx(0.13)
    assert (low.realised, low.count) == (0.5, 2)
    assert (high.predicted, high.realised, high.count) == (1.0, 1.0, 1)


def test_amounts_of_a_perfect_guess_have_no_error() -> None:
    realised = np.random.default_rng(0).uniform(1, 100, size=(50, 2))
    found = amounts("output tokens", realised, realised)
    assert found is not None
    assert found.correlation == pytest.approx(1.0)
    assert (found.error, found.bias) == (0.0, (1.0, 1.0))
    assert found.constant_error > 0.2
    assert amounts("output tokens", np.full((2, 2), np.nan), np.ones((2, 2))) is None


def test_latency_is_taken_for_each_size_of_batch() -> None:
    found = latency(Told(), made_pool(10).queries.prompts)
    assert [each.queries for each in found] == [1, 16, 64]
    assert all(0 < each.median <= each.p90 for each in found)


def test_what_is_done_rises_within_each_fit_and_ends_at_all() -> None:
    told, _ = subject()
    shares: list[float] = []
    estimate(made_pool(), np.arange(150) % 3, told.fit, shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(shares) == 1 + 3 * 2, "the start, and each fit's middle and end"
