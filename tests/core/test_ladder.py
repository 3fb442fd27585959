"""The ladder against enumeration: thousands of small odd problems, every row and every mix."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gateway.core.argmin import clear_best
from gateway.core.assignment import Step
from gateway.core.ladder import at_once, separable, solve
from gateway.core.problem import HELD, NANO, UNKNOWN, Problem, nano_dollars
from gateway.core.validate import cost_of, quality_shortfall, violations, without_room
from tests.core.instances import Optimum, Rows, enumerate_all, small, traffic

MIXES = {
    "slots": Rows(),
    "tokens": Rows(tokens=True),
    "gang": Rows(gang=True),
    "quality": Rows(quality=True),
    "budget": Rows(budget=True),
    "all": Rows(tokens=True, gang=True, quality=True, budget=True),
}


def _one(score: list[int]) -> Problem:
    """One query that may not wait; a slot everywhere."""
    return Problem(
        score=np.array([score], np.int64),
        allowed=np.ones((1, len(score)), bool),
        hold=np.zeros(1, np.int64),
        may_hold=np.zeros(1, bool),
        slots=np.ones(len(score), np.int64),
    )


@pytest.mark.parametrize("mix", MIXES)
def test_the_answer_is_the_optimum(mix: str) -> None:
    steps = set()
    for seed in range(1200 if mix == "slots" else 200):
        problem = small(seed, MIXES[mix])
        problem.check()
        best = enumerate_all(problem)
        answer = solve(problem, budget_s=5.0)
        choice = answer.choice.tolist()
        assert not violations(problem, choice), seed
        assert (answer.without_room, answer.missing_quality, answer.objective) == dataclasses.astuple(best), seed
        assert answer.objective == cost_of(problem, choice)
        assert answer.without_room == without_room(problem, choice)
        assert answer.missing_quality == quality_shortfall(problem, choice)
        assert answer.bound <= best.objective, seed
        steps.add(answer.step)
    assert steps == {Step.ARGMIN, Step.TRANSPORT} | (set() if mix == "slots" else {Step.DUAL, Step.CP_SAT})


def test_a_query_on_its_own_needs_no_solver_whatever_the_rows() -> None:
    mixed = 0
    for seed in range(600):
        problem = small(seed, MIXES["all"], queries=1)
        answer = solve(problem, budget_s=0.0)
        found = (answer.without_room, answer.missing_quality, answer.objective)
        assert found == dataclasses.astuple(enumerate_all(problem)), seed
        assert answer.step in {Step.ARGMIN, Step.DUAL}
        assert 0 <= answer.objective - answer.bound <= 1
        mixed += answer.step is Step.DUAL
    assert mixed > 20


@pytest.mark.parametrize("mix", MIXES)
def test_the_answer_without_a_solver_keeps_every_row(mix: str) -> None:
    for seed in range(150):
        problem = small(seed, MIXES[mix])
        best = enumerate_all(problem)
        answer = at_once(problem)
        assert not violations(problem, answer.choice.tolist())
        reached = Optimum(answer.without_room, answer.missing_quality, answer.objective)
        assert dataclasses.astuple(reached) >= dataclasses.astuple(best)
        if reached.without_room == best.without_room:
            assert answer.bound <= best.objective or best.missing_quality


def test_the_short_way_to_the_first_rung_ends_where_the_long_one_does() -> None:
    short = 0
    for seed in range(500):
        drawn = small(seed)
        if seed % 4 == 0:
            drawn.score[:1, :1] = (UNKNOWN, -(2**50))[seed % 8 == 0]  # a fault, which is never chosen
        for extra in (0, 2):
            problem = dataclasses.replace(drawn, slots=drawn.slots + extra)
            answer, whole = separable(problem), solve(problem, budget_s=5.0)
            assert (answer is not None) is (whole.step is Step.ARGMIN), seed
            clear = clear_best(np.where(problem.allowed, problem.score.astype(np.float64), np.inf), problem.slots)
            if clear is not None and not problem.may_hold.any() and not problem.has_side_rows:
                assert answer is not None, seed
                assert answer.choice.tolist() == clear.tolist(), seed
                assert (answer.gain, answer.shadow.tolist()) == (0, [0] * problem.shape[1]), seed
                short += 1
            if answer is not None:
                for field in dataclasses.fields(answer):
                    assert np.array_equal(getattr(answer, field.name), getattr(whole, field.name)), (seed, field.name)
    assert short > 20


def test_one_more_slot_saves_what_its_shadow_says() -> None:
    compared = 0
    for seed in range(600):
        problem = small(seed)
        answer = solve(problem, budget_s=1.0)
        for endpoint in range(problem.shape[1]):
            more = problem.slots.copy()
            more[endpoint] = max(0, more[endpoint]) + 1
            after = solve(dataclasses.replace(problem, slots=more), budget_s=1.0)
            assert answer.shadow[endpoint] == max(0, answer.objective - after.objective), seed
            compared += bool(answer.shadow[endpoint])
    assert compared > 150


@pytest.mark.parametrize("seed", range(6))
def test_large_batches_are_exact_when_only_slots_bind(seed: int) -> None:
    problem = traffic(seed, 256, 16, may_hold=seed % 2 == 0)
    answer = solve(problem, budget_s=1.0)
    assert answer.step is Step.TRANSPORT
    assert not violations(problem, answer.choice.tolist())
    assert answer.bound == answer.objective == cost_of(problem, answer.choice.tolist())
    assert answer.gain > 0
    assert (answer.without_room > 0) is (seed % 2 == 1)


def test_nothing_to_decide() -> None:
    for queries, endpoints in [(0, 0), (0, 3), (3, 0)]:
        cells = np.zeros((queries, endpoints), np.int64)
        problem = Problem(
            score=cells,
            allowed=cells == 0,
            hold=np.arange(queries),
            may_hold=np.zeros(queries, bool),
            slots=np.ones(endpoints, np.int64),
        )
        answer = solve(problem, budget_s=0.1)
        assert answer.choice.tolist() == [HELD] * queries
        assert answer.objective == sum(range(queries))
        assert answer.gap == 0


def test_prices_of_nothing_go_to_the_roomiest() -> None:
    problem = Problem(
        score=np.zeros((6, 3), np.int64),
        allowed=np.ones((6, 3), bool),
        hold=np.zeros(6, np.int64),
        may_hold=np.ones(6, bool),
        slots=np.array([1, 4, 3]),
    )
    answer = solve(problem, budget_s=0.1)
    assert np.bincount(answer.choice).tolist() == [1, 3, 2]


def test_a_score_that_is_no_number_is_never_chosen() -> None:
    score = nano_dollars(np.array([[np.nan, 0.002, np.inf, -np.inf, 1e9]]))
    assert score.tolist() == [[UNKNOWN, 2_000_000, UNKNOWN, UNKNOWN, UNKNOWN]]
    assert solve(_one(score[0].tolist()), budget_s=0.1).choice.tolist() == [1]
    cast_by_mistake = _one([np.iinfo(np.int64).min, 7])
    assert solve(cast_by_mistake, budget_s=0.1).choice.tolist() == [1]
    nowhere = solve(_one([int(UNKNOWN), int(UNKNOWN)]), budget_s=0.1)
    assert nowhere.choice.tolist() == [HELD]
    assert nowhere.without_room == 1


def test_one_enormous_query_gives_way_to_the_many_or_finds_a_place_of_its_own() -> None:
    problem = traffic(3, 32, 4, load=0.6, rows=Rows(tokens=True), may_hold=False)
    (row,) = problem.tokens
    need = row.need.copy()
    need[5] = 10**9
    allowed = np.ones_like(problem.allowed)
    huge = dataclasses.replace(problem, allowed=allowed, tokens=(dataclasses.replace(row, need=need),))
    answer = solve(huge, budget_s=0.2)
    assert answer.choice[5] == HELD
    room = row.room.copy()
    room[2] = 2 * 10**9
    answer = solve(dataclasses.replace(huge, tokens=(dataclasses.replace(row, need=need, room=room),)), budget_s=0.2)
    assert answer.choice[5] == 2


def test_a_query_of_hundreds_of_dollars_does_not_blur_the_small_ones() -> None:
    score = np.array([[900 * NANO, 901 * NANO], [1, 2], [2, 1]], np.int64)
    problem = Problem(
        score=score,
        allowed=np.ones((3, 2), bool),
        hold=np.zeros(3, np.int64),
        may_hold=np.zeros(3, bool),
        slots=np.array([1, 2]),
    )
    answer = solve(problem, budget_s=0.1)
    assert answer.choice.tolist() == [0, 1, 1]


def test_a_problem_of_the_wrong_shape_is_named() -> None:
    problem = _one([1, 2])
    with pytest.raises(ValueError, match="slots has shape"):
        dataclasses.replace(problem, slots=np.ones(3, np.int64)).check()
    with pytest.raises(ValueError, match="score is float64"):
        dataclasses.replace(problem, score=np.array([[1.5, np.nan]], np.float64)).check()


def test_the_first_rung_alone_answers_as_the_ladder_or_not_at_all() -> None:
    for seed in range(200):
        problem = small(seed, Rows(tokens=seed % 2 == 0))
        alone, whole = separable(problem), solve(problem, budget_s=1.0)
        if alone is None:
            assert whole.step is not Step.ARGMIN
        else:
            assert alone.choice.tolist() == whole.choice.tolist()
            assert (alone.objective, alone.bound, alone.step) == (whole.objective, whole.bound, Step.ARGMIN)
