"""A batch as a Problem: who may go where, what waiting costs, and who gives way."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.core.ladder import solve
from gateway.core.placing import Ask, Placing, Terrain, place
from gateway.core.problem import HELD, NANO, Floats
from tests.core.fleets import estimates, fleet, terrain

FLEET = fleet()
EVERYONE = FLEET.model_mask(("cheap", "dear", "seeing"))
GOOD = (0.5, 0.9, 0.7, 0.0)
ROOM = (2, 2, 8, 8)


def ask(**terms: object) -> Ask:
    return msgspec.structs.replace(Ask(models=EVERYONE), **terms)


def slowed(of: Terrain, overhead_s: Floats) -> Terrain:
    return replace(of, pace=replace(of.pace, overhead_s=overhead_s))


def chosen(placing: Placing) -> list[str | None]:
    choice = solve(placing.problem, budget_s=0.01).choice
    return [None if index == HELD else FLEET.endpoints[index].name for index in choice]


@pytest.mark.parametrize(("multiplier", "winner"), [(0.0, "cheap"), (0.015, "cheap"), (0.021, "seeing"), (0.1, "dear")])
def test_a_higher_price_of_quality_buys_better_models(multiplier: float, winner: str) -> None:
    placing = place([ask(multiplier=multiplier)], estimates(GOOD), terrain(FLEET, ROOM))
    [name] = chosen(placing)
    assert name is not None
    assert name.startswith(winner)


def test_scores_are_cost_less_quality_plus_time_in_nano_dollars() -> None:
    slow = slowed(terrain(FLEET, ROOM), np.array([0.0, 2.0, 0.0, 0.0]))
    terms = ask(multiplier=0.01, bias=0.1, risk=1.0, usd_per_second=0.001)
    placing = place([terms], estimates(GOOD), slow)
    expected = np.array([0.001 - 0.01 * 0.5, 0.001 - 0.01 * 0.5 + 0.002, 0.01 - 0.01 * 0.9, 0.005 - 0.01 * 0.7])
    np.testing.assert_array_equal(placing.problem.score[0], np.rint(expected * NANO))


def test_of_two_replicas_the_faster_serves_and_one_that_queues_is_left_alone() -> None:
    terms = ask(multiplier=0.01, usd_per_second=1e-4)
    slow = slowed(terrain(FLEET, ROOM), np.array([2.0, 0.5, 0.0, 0.0]))
    assert chosen(place([terms], estimates(GOOD), slow)) == ["cheap-2"]
    queued = replace(
        slow, traffic=replace(slow.traffic, running=np.array([0, 2, 0, 0]), waiting=np.array([0, 5, 0, 0]))
    )
    assert chosen(place([terms], estimates(GOOD), queued)) == ["cheap-1"]


def test_more_output_takes_longer_and_costs_time_by_the_models_own_length() -> None:
    ground = terrain(FLEET, ROOM)
    per_token = replace(ground, pace=replace(ground.pace, token_s=np.full(4, 1 / 50)))
    scores = place([ask(usd_per_second=1e-3)], estimates(GOOD), per_token).score_usd
    np.testing.assert_allclose(scores[0], np.array([0.001, 0.001, 0.01, 0.005]) + 1e-3 * 100 / 50)


def test_nobody_is_sent_where_its_deadline_cannot_be_met_unless_it_can_be_met_nowhere() -> None:
    slow = slowed(terrain(FLEET, ROOM), np.array([3.0, 3.0, 0.5, 9.0]))
    batch = [ask(), ask(ends_in_s=1.0), ask(ends_in_s=0.1)]
    assert chosen(place(batch, estimates(GOOD, GOOD, GOOD), slow)) == ["cheap-1", "dear-1", "dear-1"]


def test_the_wait_for_a_slot_counts_toward_a_deadline() -> None:
    full = terrain(FLEET, (0, 0, 8, 8), slot_wait=2.0)
    assert chosen(place([ask(ends_in_s=1.0, usd_per_second=1e-9)], estimates(GOOD), full)) == ["seeing-1"]
    assert chosen(place([ask(ends_in_s=9.0, usd_per_second=1e-9)], estimates(GOOD), full)) == [None]


def test_a_floor_filters_models_and_the_best_serves_when_nobody_reaches_it() -> None:
    batch = [ask(floor=0.6), ask(floor=0.95), ask()]
    placing = place(batch, estimates(GOOD, GOOD, GOOD), terrain(FLEET, ROOM))
    assert chosen(placing) == ["seeing-1", "dear-1", "cheap-1"]
    assert placing.below_floor.tolist() == [False, True, False]


def test_a_cost_cap_filters_models_and_says_when_nobody_is_left() -> None:
    batch = [ask(max_cost_usd=0.006, multiplier=1.0), ask(max_cost_usd=0.0005)]
    placing = place(batch, estimates(GOOD, GOOD), terrain(FLEET, ROOM))
    assert chosen(placing) == ["seeing-1", None]
    assert placing.too_dear.tolist() == [False, True]


def test_excluded_and_unhealthy_endpoints_get_nobody() -> None:
    batch = [ask(excluded=(0,)), ask()]
    placing = place(batch, estimates(GOOD, GOOD), terrain(FLEET, ROOM, healthy=(True, False, True, True)))
    assert chosen(placing) == ["seeing-1", "cheap-1"]


def test_of_two_that_want_a_slot_the_older_gets_it() -> None:
    young, old = ask(usd_per_second=1e-4, waited_s=0.1), ask(usd_per_second=1e-4, waited_s=5.0)
    for batch, expected in (([young, old], [None, "cheap-1"]), ([old, young], ["cheap-1", None])):
        assert chosen(place(batch, estimates(GOOD, GOOD), terrain(FLEET, (1, 0, 0, 0)))) == expected


def test_between_keys_the_turn_decides_however_long_somebody_has_waited_or_hurries() -> None:
    """Row order is the order of turns; inside one party the joint decision weighs them as before."""
    modest = ask(usd_per_second=1e-6, waited_s=0.0, party=(0, "modest"))
    for greedy in (
        ask(usd_per_second=1e-4, waited_s=14.0, party=(0, "greedy")),
        ask(time_left_s=-1.0, party=(0, "greedy")),
        ask(usd_per_second=1e-4, waited_s=14.0, party=(-1, "modest")),
    ):
        placing = place([modest, greedy, greedy], estimates(GOOD, GOOD, GOOD), terrain(FLEET, (1, 0, 0, 0)))
        assert chosen(placing) == ["cheap-1", None, None]
        assert placing.allowed.all()
        room = place([modest, greedy, greedy], estimates(GOOD, GOOD, GOOD), terrain(FLEET, (3, 0, 0, 0)))
        assert chosen(room) == ["cheap-1"] * 3


def test_whoever_has_waited_long_enough_pays_for_room_elsewhere() -> None:
    def where(waited: float) -> str | None:
        full = terrain(FLEET, (0, 0, 8, 8), slot_wait=0.1)
        return chosen(place([ask(usd_per_second=1e-4, waited_s=waited)], estimates(GOOD), full))[0]

    assert where(1.0) is None  # 0.1 m$ of waiting against 4 m$ more
    assert where(60.0) == "seeing-1"  # 6 m$


def test_without_time_to_wait_a_query_goes_where_there_is_room() -> None:
    full = terrain(FLEET, (0, 0, 1, 0), slot_wait=1.0)
    assert chosen(place([ask(time_left_s=0.5)], estimates(GOOD), full)) == ["dear-1"]
    assert chosen(place([ask(time_left_s=50.0, usd_per_second=1e-4)], estimates(GOOD), full)) == [None]


def test_nobody_waits_for_an_endpoint_with_room() -> None:
    problem = place([ask(), ask()], estimates(GOOD, GOOD), terrain(FLEET, ROOM)).problem
    assert not problem.may_hold.any()


def test_token_rows_stand_only_where_they_could_bind() -> None:
    free = terrain(FLEET, ROOM)
    assert place([ask()], estimates(GOOD), free).problem.tokens == ()
    unlimited = np.full(4, UNLIMITED)
    tight = replace(free, headroom=Headroom(np.array(ROOM), unlimited, np.array([150, 150, 10**6, 10**6]), unlimited))
    [row] = place([ask()], estimates(GOOD), tight).problem.tokens
    assert row.name == "tokens_per_minute"
    assert row.need.tolist() == [[200] * 4]
    assert chosen(place([ask()], estimates(GOOD), tight)) == ["seeing-1"]


def test_routes_may_ask_a_batch_for_different_qualities() -> None:
    strict, lenient = ask(batch_quality=0.9), ask(batch_quality=0.5)
    row = place([strict, lenient, ask()], estimates(GOOD, GOOD, GOOD), terrain(FLEET, ROOM)).problem.batch_quality
    assert row is not None
    assert row.members.tolist() == [True, True, False]
    assert (row.quality[:, 0] - row.asked).tolist()[:2] == [-4000, 0]
