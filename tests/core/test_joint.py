"""The joint solve at sizes that cannot be enumerated: bounds that hold, room that is kept, time that is given."""

from __future__ import annotations

import dataclasses
from itertools import count

import numpy as np
import pytest

from gateway.core import cpsat
from gateway.core.ascent import ascend, opening
from gateway.core.assignment import Step, Warm
from gateway.core.greedy import one_by_one
from gateway.core.instance import CLOSED, make_instance
from gateway.core.ladder import prepare, solve
from gateway.core.problem import HELD, BatchQuality
from gateway.core.relaxation import relax
from gateway.core.validate import cost_of, quality_shortfall, violations, without_room
from tests.core.instances import Rows, traffic

MIXES = [
    Rows(tokens=True),
    Rows(quality=True),
    Rows(tokens=True, gang=True),
    Rows(budget=True),
    Rows(tokens=True, gang=True, quality=True, budget=True),
]


@pytest.mark.parametrize("rows", MIXES)
@pytest.mark.parametrize("load", [0.7, 1.3])
def test_bounds_hold_and_room_is_kept_whatever_the_time(rows: Rows, load: float) -> None:
    for seed in range(3):
        problem = traffic(seed, 32, 6, load=load, rows=rows, may_hold=seed != 1)
        answers = [solve(problem, budget_s=seconds) for seconds in (0.0, 0.01, 0.4)]
        best = min((a.without_room, a.missing_quality, a.objective) for a in answers)
        for answer in answers:
            choice = answer.choice.tolist()
            assert not violations(problem, choice)
            assert answer.objective == cost_of(problem, choice)
            assert answer.missing_quality == quality_shortfall(problem, choice)
            assert answer.without_room == without_room(problem, choice)
            if (answer.without_room, answer.missing_quality) == best[:2]:
                assert answer.bound <= best[2]


@pytest.mark.parametrize("rows", MIXES[:4])
def test_the_bound_of_any_prices_holds(rows: Rows) -> None:
    problem = traffic(5, 24, 5, load=1.1, rows=rows)
    best = solve(problem, budget_s=2.0)
    instance = make_instance(problem)
    relaxation = relax(instance, best.missing_quality)
    upper = instance.penalised(best.choice)
    rng = np.random.default_rng(1)
    for scale in (0.0, 1.0, 1e3, 1e6, 1e9):
        dual = ascend(relaxation, rng.random(len(relaxation.room)) * scale, upper, steps=20)
        assert dual.bound <= upper
    dual = ascend(relaxation, opening(relaxation), upper, steps=300)
    assert upper - 0.15 * abs(upper) <= dual.bound <= upper


def test_without_time_for_the_solver_the_incumbent_answers() -> None:
    problem = traffic(2, 64, 8, load=1.0, rows=Rows(tokens=True, quality=True))
    ticks = count()
    answer = solve(problem, budget_s=1e-9, clock=lambda: float(next(ticks)))
    assert answer.step is Step.INCUMBENT
    assert not violations(problem, answer.choice.tolist())
    assert answer.bound <= solve(problem, budget_s=1.0).objective


def test_the_clock_ends_the_search() -> None:
    problem = traffic(2, 64, 8, load=1.0, rows=Rows(tokens=True, quality=True))
    ticks = count()
    solve(problem, budget_s=50.0, clock=lambda: float(next(ticks)))
    assert next(ticks) < 200


def test_warm_prices_of_any_kind_cost_nothing_but_time() -> None:
    problem = traffic(4, 32, 6, load=1.0, rows=Rows(tokens=True))
    cold = solve(problem, budget_s=0.5)
    assert cold.warm is not None
    for prices in (cold.warm.prices, cold.warm.prices * 1e6, -cold.warm.prices, np.full(12, np.nan), np.ones(3)):
        answer = solve(problem, budget_s=0.5, warm=Warm(prices))
        assert not violations(problem, answer.choice.tolist())
        assert answer.bound <= cold.objective
        assert answer.objective <= cold.objective + 0.01 * abs(cold.objective)


def test_a_quality_that_cannot_be_reached_gets_the_best_there_is() -> None:
    problem = traffic(1, 32, 6, load=0.7, rows=Rows(quality=True))
    assert problem.batch_quality is not None
    quality = problem.batch_quality.quality
    asked = dataclasses.replace(problem.batch_quality, asked=10_001)
    answer = solve(dataclasses.replace(problem, batch_quality=asked, may_hold=np.zeros(32, bool)), budget_s=0.3)
    reached = quality[np.arange(32), answer.choice]
    assert not answer.without_room
    assert answer.missing_quality == (10_001 - reached).sum()
    worth = dataclasses.replace(
        problem, score=-quality, batch_quality=None, may_hold=np.zeros(32, bool), hold=np.zeros(32, np.int64)
    )
    assert reached.sum() == -solve(worth, budget_s=0.3).objective


def test_a_model_without_an_answer_is_none() -> None:
    problem = traffic(1, 16, 4, rows=Rows(tokens=True))
    instance = make_instance(problem)
    everything = instance.price < CLOSED
    held = one_by_one(instance)
    none_of_it = np.zeros_like(everything)
    none_of_it[:, 0] = True
    assert cpsat.refine(instance, none_of_it, held, missing=0, seconds=1.0, gap=0.0) is None
    assert cpsat.refine(instance, everything, held, missing=0, seconds=0.0, gap=0.0) is None


def test_circles_agree_with_the_whole_model() -> None:
    for seed in range(4):
        problem = traffic(seed, 16, 5, load=1.0, rows=Rows(tokens=True, quality=seed % 2 == 0))
        instance = make_instance(problem)
        answer = solve(problem, budget_s=3.0)
        whole = cpsat.refine(
            instance,
            instance.price < CLOSED,
            one_by_one(instance),
            missing=answer.missing_quality,
            seconds=20.0,
            gap=0.0,
        )
        assert whole is not None
        assert instance.penalised(whole.choice) >= answer.bound
        assert answer.objective - instance.penalised(whole.choice) <= 2e-3 * abs(answer.objective)


def test_members_of_a_gang_share_an_endpoint_or_wait() -> None:
    problem = traffic(0, 48, 6, load=1.0, rows=Rows(tokens=True, gang=True))
    assert problem.gang is not None
    choice = solve(problem, budget_s=0.2).choice
    for gang in np.unique(problem.gang[problem.gang >= 0]):
        homes = set(choice[problem.gang == gang].tolist()) - {HELD}
        assert len(homes) <= 1


def test_two_solves_of_one_problem_agree_when_only_prices_decide() -> None:
    problem = traffic(3, 64, 8, load=1.0, rows=Rows(budget=True))
    first, second = solve(problem, budget_s=5.0), solve(problem, budget_s=5.0)
    assert first.choice.tolist() == second.choice.tolist()


def test_preparing_leaves_nothing_behind() -> None:
    prepare()
    prepare()


def test_routes_that_are_no_members_are_left_out_of_the_quality_row() -> None:
    problem = traffic(6, 24, 5, load=0.8, rows=Rows(quality=True))
    assert problem.batch_quality is not None
    members = np.arange(24) < 12
    row = BatchQuality(quality=problem.batch_quality.quality, asked=problem.batch_quality.asked, members=members)
    part = solve(dataclasses.replace(problem, batch_quality=row), budget_s=0.5)
    free = solve(dataclasses.replace(problem, batch_quality=None), budget_s=0.5)
    whole = solve(problem, budget_s=0.5)
    assert free.objective <= part.objective
    assert part.missing_quality == 0
    assert whole.missing_quality == 0
