"""The simulator: its traces, its fleet, its engine and its command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.simulate import command, midway
from gateway.core.problem import HELD
from gateway.lab.methods import METHODS, OURS
from gateway.lab.simulate.engine import PATIENCE_S, Engine, Ran, Work
from gateway.lab.simulate.fleet import Fleet, service_seconds
from gateway.lab.simulate.study import Ground, compare, sizes
from gateway.lab.simulate.trace import ARRIVALS, arrivals
from predictors.artifact import save
from predictors.pool import read_pool
from predictors.training import train
from tests.lab.cases import case
from tests.lab.test_route import pool_row, write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.problem import Floats, Ints

MODELS = 4


def work(arrival: Floats, seed: int = 0) -> Work:
    draw = np.random.default_rng(seed)
    shape = (len(arrival), MODELS)
    return Work(arrival, draw.integers(10, 500, shape).astype(float), draw.integers(10, 900, shape).astype(float))


def ran(method: str, rate: float, *, queries: int = 300, slots: int = 2, endpoints: int = 6) -> tuple[Ran, Work, Fleet]:
    fleet = Fleet.even(MODELS, endpoints, slots)
    todo = work(arrivals("poisson", queries, rate, np.random.default_rng(1)))
    return Engine(fleet, todo, METHODS[method](case(queries=queries))).run(), todo, fleet


def most_at_once(started: Floats, finished: Floats) -> int:
    """The most intervals that overlap."""
    steps = sorted([(each, 1) for each in started] + [(each, -1) for each in finished])
    running = np.cumsum([step for _, step in steps])
    return int(running.max(initial=0))


def of_model(result: Ran, model: int) -> Ints:
    return np.flatnonzero(result.choice == model)


@pytest.mark.parametrize("kind", ARRIVALS)
def test_arrivals_come_in_order_at_their_mean_rate(kind: str) -> None:
    seconds = arrivals(kind, 60_000, 5.0, np.random.default_rng(0))
    assert (np.diff(seconds) >= 0).all()
    assert len(seconds) / seconds[-1] == pytest.approx(5.0, rel=0.12)


def test_bursts_are_bursts() -> None:
    counts = [
        np.histogram(arrivals(kind, 40_000, 10.0, np.random.default_rng(0)), bins=400)[0].std() for kind in ARRIVALS
    ]
    assert counts[1] > 3 * counts[0]


def test_service_is_linear_in_tokens_and_slower_in_a_crowd() -> None:
    one, two = service_seconds(np.array([100.0, 200.0]), np.array([300.0, 600.0]))
    nothing = service_seconds(np.array(0.0), np.array(0.0))
    assert two - nothing == pytest.approx(2 * (one - nothing))
    assert service_seconds(np.array(0.0), np.array(300.0), running=10.0) > service_seconds(
        np.array(0.0), np.array(300.0)
    )


@pytest.mark.parametrize("method", METHODS)
def test_with_room_for_all_nobody_waits(method: str) -> None:
    result, todo, _ = ran(method, rate=0.05)
    assert (result.choice != HELD).all()
    assert (result.started - todo.arrival).max() < 0.02


@settings(max_examples=15, deadline=None)
@given(rate=st.floats(0.05, 20), slots=st.integers(1, 3), endpoints=st.integers(1, 6))
def test_no_model_ever_runs_more_than_its_slots(rate: float, slots: int, endpoints: int) -> None:
    result, todo, fleet = ran(OURS, rate, queries=120, slots=slots, endpoints=endpoints)
    for model in range(MODELS):
        rows = of_model(result, model)
        room = slots * int((fleet.model == model).sum())
        assert most_at_once(result.started[rows], result.finished[rows]) <= room
    served = result.choice != HELD
    assert (result.started[served] >= todo.arrival[served]).all()
    assert (result.started[served] - todo.arrival[served] <= PATIENCE_S + 1e-9).all()
    assert (np.isnan(result.started) == ~served).all()


def test_an_overloaded_fleet_sheds_and_stays_busy() -> None:
    result, todo, fleet = ran(OURS, rate=8.0, queries=1_000)
    served = result.choice != HELD
    assert 0.02 < 1 - served.mean() < 0.98
    busy = (result.finished[served] - result.started[served]).sum()
    assert busy > 0.8 * fleet.slots * len(fleet.model) * todo.arrival[-1]


def test_who_came_first_is_not_left_behind() -> None:
    """At twice what the fleet takes the line moves on: what is served has waited about as long as the rest."""
    result, todo, _ = ran(OURS, rate=3.0, queries=400)
    waited = (result.started - todo.arrival)[result.choice != HELD]
    assert np.quantile(waited, 0.9) > 0.5 * PATIENCE_S
    assert np.median(waited) > 0.2 * PATIENCE_S


def ground(queries: int = 300) -> Ground:
    given_case = case(queries=queries)
    tokens = work(np.zeros(queries))
    score = (np.random.default_rng(3).random(given_case.quality.shape) < given_case.quality).astype(float)
    return Ground(
        case=replace(given_case, batch_size=1),
        score=score,
        paid=given_case.cost,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
    )


def test_a_study_runs_every_method_on_the_same_trace() -> None:
    ticks: list[int] = []
    figures = compare(
        ground(),
        Fleet.even(MODELS, 8, 2),
        methods=tuple(METHODS),
        loads=(0.3, 1.3),
        queries=200,
        kind="bursty",
        seed=0,
        tick=lambda: ticks.append(1),
    )
    assert len(figures) == len(ticks) == 2 * len(METHODS)
    assert len({each.rate for each in figures if each.load == 0.3}) == 1
    by = {(each.method, each.load): each for each in figures}
    assert by[OURS, 1.3].waited_mean > by[OURS, 0.3].waited_mean
    assert by["best", 0.3].cost_per_1k > by["cheapest", 0.3].cost_per_1k
    assert all(0 <= each.shed <= 1 and each.joint_gain >= 0 for each in figures)


def test_hours_of_traffic_take_seconds() -> None:
    result, todo, _ = ran(OURS, rate=0.5, queries=2_000, slots=4, endpoints=8)
    assert todo.arrival[-1] > 3_600
    assert result.decision_s.sum() < 10


def test_decisions_are_timed_on_growing_fleets() -> None:
    small, large = sizes(ground(), (1, 4), seed=0, tick=lambda: None, least=300)
    assert large.rate > 2 * small.rate
    assert 0 < small.decision_ms_p50 <= small.decision_ms_p99


def test_midway_lies_between_the_cheapest_and_the_best() -> None:
    assert midway(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 2.0], [1.0, 2.0]])) == pytest.approx(0.75)


def test_the_command_writes_results_plots_and_a_page(tmp_path: Path) -> None:
    known = read_pool(write(tmp_path / "known.jsonl", [pool_row(number) for number in range(120)]))
    save(train([known]), tmp_path / "artifact")
    new = write(tmp_path / "new.jsonl", [pool_row(number) for number in range(200, 280)])
    arguments = ["--pool", str(new), "--artifact", str(tmp_path / "artifact"), "--report", str(tmp_path / "report")]
    options = ["--method", OURS, "--method", "random", "--load", "0.5", "--count", "100", "--no-sizes", "--json"]
    result = CliRunner().invoke(command, [*arguments, *options])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["runs"]) == 2
    made = {each.name for each in (tmp_path / "report").iterdir()}
    assert {"results.json", "report.md", "cost_per_1k.png", "shed.png"} <= made
    same = CliRunner().invoke(command, ["--pool", str(tmp_path / "known.jsonl"), *arguments[2:]])
    assert same.exit_code == 1
    assert "new to the artifact" in same.output
