"""Pools side by side in one table."""

from __future__ import annotations

import numpy as np

from predictors.history import NO_GROUP, join
from tests.predictors.pools import made, pool_of


def test_one_pool_keeps_its_order() -> None:
    pool = made(20)
    history = join([pool])
    assert history.prompts == pool.queries.prompts
    assert history.models == pool.models
    np.testing.assert_array_equal(history.score, pool.score)
    assert [history.groups[each] for each in history.group] == [f"0/{label}" for label in pool.groups]


def test_pools_with_other_models_leave_gaps() -> None:
    history = join([pool_of(["a", "b"], [[1], [0]], ["x"]), pool_of(["c"], [[0.5]], ["y"])])
    np.testing.assert_array_equal(history.score, [[1, np.nan], [0, np.nan], [np.nan, 0.5]])
    assert history.source.tolist() == [0, 0, 1]
    assert (history.group == NO_GROUP).all()


def test_one_model_under_two_names_shares_a_head() -> None:
    history = join([pool_of(["a"], [[1]], ["Meta-Llama-3_1-8B-Instruct"]), pool_of(["b"], [[0]], ["llama-3.1-8b"])])
    assert history.models == ("Meta-Llama-3_1-8B-Instruct", "llama-3.1-8b")
    assert history.heads == 1
    np.testing.assert_array_equal(history.head_score(), [[1], [0]])


def test_names_that_one_pool_tells_apart_stay_apart() -> None:
    history = join([pool_of(["a"], [[1, 0]], ["x-instruct", "x-chat"]), pool_of(["b"], [[1]], ["x"])])
    assert history.heads == 3


def test_a_pool_twice_is_no_new_model() -> None:
    history = join([made(5), made(5)])
    assert history.models == made(1).models
    assert len(history.prompts) == 10


def test_what_is_not_a_number_is_not_known() -> None:
    pool = pool_of(["a", "b", "c"], [[np.nan], [np.inf], [1]], cost=np.array([[-1.0], [np.inf], [0.0]]))
    history = join([pool])
    np.testing.assert_array_equal(np.isnan(history.score).ravel(), [True, True, False])
    np.testing.assert_array_equal(np.isnan(history.cost).ravel(), [True, True, False])


def test_rows_are_taken_in_the_order_asked() -> None:
    history = join([made(10)])
    some = history.rows(np.array([7, 2]))
    assert some.prompts == (history.prompts[7], history.prompts[2])
    np.testing.assert_array_equal(some.cost, history.cost[[7, 2]])
    assert some.models == history.models
