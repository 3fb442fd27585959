"""Every method on one made-up file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway.core.capacity import UNLIMITED
from gateway.core.problem import HELD
from gateway.domain import MaxCost, MinQuality, Tradeoff
from gateway.errors import ConfigurationError
from gateway.lab.methods import METHODS, OURS
from gateway.lab.methods.case import Offer
from gateway.lab.methods.file import arrival, assign_file, place
from tests.lab.cases import ASKED, case

if TYPE_CHECKING:
    from gateway.core.problem import Ints
    from gateway.domain import Objective
    from gateway.lab.methods.case import Case


def assigned(given: Case, method: str) -> Ints:
    return assign_file(given, METHODS[method](given))


def averages(given: Case, choice: Ints) -> tuple[float, float]:
    """(predicted quality, USD per 1,000 queries)."""
    rows = np.arange(len(choice))
    return float(given.quality[rows, choice].mean()), 1_000 * float(given.cost[rows, choice].mean())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("objective", [ASKED, MaxCost(0.8), Tradeoff(5)])
def test_every_query_is_placed_once(method: str, objective: Objective) -> None:
    given = case(objective, queries=150)
    choice = assigned(given, method)
    assert choice.shape == (150,)
    assert ((choice >= 0) & (choice < 4)).all()
    assert (assigned(given, method) == choice).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_batch_exceeds_its_room(method: str) -> None:
    slots = [5, 3, 4, 4]
    given = case(slots=slots, queries=160, in_order=True)
    choice = assigned(given, method)
    per_batch = [np.bincount(batch, minlength=4) for batch in choice.reshape(-1, 16)]
    assert (np.array(per_batch) <= slots).all()


@pytest.mark.parametrize("method", METHODS)
def test_who_finds_no_room_waits_for_the_next_batch(method: str) -> None:
    choice = assigned(case(slots=[2, 1, 0, 1], queries=40), method)
    assert (choice != HELD).all()
    assert 2 not in choice


@pytest.mark.parametrize("joint", [True, False])
def test_a_favourite_that_is_full_beforehand_has_changed_the_choice(*, joint: bool) -> None:
    offer = Offer(score=np.array([[1e-4, 2e-4]]), joint=joint)
    assert not place(offer, np.array([1, 1])).displaced
    full = place(offer, np.array([0, 1]))
    assert full.displaced
    assert full.choice.tolist() == [1]


def test_no_room_at_all_is_said() -> None:
    with pytest.raises(ConfigurationError, match="--capacity"):
        assigned(case(slots=[0, 0, 0, 0]), OURS)


def test_ours_keeps_the_promise_near_the_price_of_the_optimum() -> None:
    given = case(queries=3_000, batch_size=1)
    quality, cost = averages(given, assigned(given, OURS))
    least_quality, least_cost = averages(given, assigned(given, "optimum"))
    assert quality == pytest.approx(least_quality, abs=0.004)
    assert cost < 1.03 * least_cost


def test_the_optimum_spends_the_budget_and_no_more() -> None:
    given = case(MaxCost(0.8), queries=2_000)
    _, cost = averages(given, assigned(given, "optimum"))
    assert 0.78 < cost <= 0.8


def test_the_joint_solve_is_worth_no_less_than_one_by_one() -> None:
    given = case(slots=[6, 4, 4, 4], queries=1_600)
    together, alone = (averages(given, assigned(given, method)) for method in (OURS, "greedy"))
    assert together[1] - alone[1] < 2 * (together[0] - alone[0]) + 0.02


def test_static_methods_are_what_they_say() -> None:
    given = case(queries=80)
    assert set(assigned(given, "cheapest").tolist()) == {0}
    assert set(assigned(given, "best").tolist()) == {3}
    assert np.bincount(assigned(given, "round-robin")).tolist() == [20] * 4
    assert (np.bincount(assigned(given, "random"), minlength=4) > 5).all()


def test_the_threshold_takes_the_cheapest_that_reaches_it_or_the_best() -> None:
    given = case(queries=200)
    choice = assigned(given, "threshold")
    for row, chosen in enumerate(choice.tolist()):
        reach = np.flatnonzero(given.plain[row] >= 0.70)
        assert chosen == (reach[0] if len(reach) else given.plain[row].argmax())


def test_two_models_are_two_and_reach_what_is_asked() -> None:
    given = case(queries=3_000)
    choice = assigned(given, "two-model")
    assert len(set(choice.tolist())) == 2
    assert averages(given, choice)[0] == pytest.approx(0.70, abs=0.02)


def test_eccos_meets_its_row_in_every_batch_that_can() -> None:
    given = case(queries=160, in_order=True)
    choice = assigned(given, "eccos-r")
    met = given.plain[np.arange(160), choice].reshape(-1, 16).mean(axis=1)
    most = given.plain.max(axis=1).reshape(-1, 16).mean(axis=1)
    assert (met >= np.minimum(0.70, most) - 1e-4).all()
    assert (most >= 0.70).sum() > 5


def test_port_stays_with_the_multiplier_that_it_learned_first() -> None:
    given = case(queries=2_000)
    assert averages(given, assigned(given, "port"))[0] == pytest.approx(0.70, abs=0.08)


def test_a_file_sorted_by_difficulty_is_no_change_of_traffic() -> None:
    given = case(queries=2_000)
    order = np.argsort(given.quality.mean(axis=1))
    hard_last = case(queries=2_000)
    for name in ("quality", "cost", "plain"):
        getattr(hard_last, name)[:] = getattr(given, name)[order]
    quality, _ = averages(hard_last, assigned(hard_last, OURS))
    assert quality == pytest.approx(0.70, abs=0.02)


@pytest.mark.parametrize("slots", [None, [3, 3, 3, 3]])
def test_a_shuffled_file_loses_no_row_and_keeps_batches_of_neighbours(slots: list[int] | None) -> None:
    given = case(queries=100, slots=slots)
    rows = arrival(given)
    assert sorted(rows.tolist()) == list(range(100))
    assert rows.tolist() != list(range(100))
    if slots:
        whole = rows[:96].reshape(-1, 16)
        assert (np.diff(whole, axis=1) == 1).all()
        assert (whole[:, 0] % 16 == 0).all()


def test_a_trace_is_decided_in_its_own_order() -> None:
    assert arrival(case(queries=50, in_order=True)).tolist() == list(range(50))


def test_an_unlimited_model_takes_everything() -> None:
    given = case(MinQuality(0.0), slots=[int(UNLIMITED), 0, 0, 0], queries=50)
    assert set(assigned(given, OURS).tolist()) == {0}
