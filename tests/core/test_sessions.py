"""Queries of one session go to one endpoint, where that keeps nobody waiting."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from gateway.core.ladder import solve
from gateway.core.placing import Ask, place
from gateway.core.problem import HELD
from gateway.core.sessions import Homes, session_of
from gateway.core.validate import violations
from gateway.domain import Preferences, Query
from tests.core.fleets import estimates, fleet, terrain

FLEET = fleet()
EVERYONE = FLEET.model_mask(("cheap", "dear", "seeing"))
EASY, HARD = (0.5, 0.5, 0.5, 0.0), (0.1, 0.9, 0.1, 0.0)
ASK = Ask(models=EVERYONE, multiplier=0.1)
MINE = ("", "auto", "mine")


def query(session: str | None, *, key: str = "", target: str = "auto") -> Query:
    return Query(id="q", target=target, key=key, messages=b"[]", preferences=Preferences(session=session))


def chosen(asks: list[Ask], slots: tuple[int, ...] = (2, 2, 8, 8)) -> list[str | None]:
    placing = place(asks, estimates(*[EASY, HARD][: len(asks)]), terrain(FLEET, slots))
    choice = solve(placing.problem, budget_s=0.5).choice
    assert list(violations(placing.problem, choice.tolist())) == []
    return [None if index == HELD else FLEET.endpoints[index].name for index in choice]


def test_a_batch_keeps_a_session_together() -> None:
    assert chosen([ASK, ASK]) == ["cheap-1", "dear-1"]
    assert chosen([replace(ASK, session=MINE)] * 2) == ["dear-1"] * 2
    assert chosen([replace(ASK, session=MINE), replace(ASK, session=("", "auto", "yours"))]) == ["cheap-1", "dear-1"]


def test_a_session_is_parted_where_no_endpoint_has_room_for_all_of_it() -> None:
    assert chosen([replace(ASK, session=MINE)] * 2, slots=(1, 0, 1, 0)) == ["cheap-1", "dear-1"]


@pytest.mark.parametrize(
    ("home", "expected"),
    [(1, "cheap-2"), (2, "dear-1"), (None, "cheap-1")],
    ids=["a replica", "another model", "none"],
)
def test_a_session_goes_home(home: int | None, expected: str) -> None:
    assert chosen([replace(ASK, session=MINE, home=home)]) == [expected]


def test_nobody_waits_for_its_home_and_no_filter_is_passed_by_for_it() -> None:
    assert chosen([replace(ASK, home=1)], slots=(2, 0, 8, 8)) == ["cheap-1"]
    assert chosen([replace(ASK, home=1, excluded=(1,))]) == ["cheap-1"]
    assert chosen([replace(ASK, home=2, models=FLEET.model_mask(("cheap",)))]) == ["cheap-1"]


def test_homes_are_told_apart_by_key_and_target_and_the_longest_unused_is_forgotten() -> None:
    homes = Homes(2)
    homes.settle(query("s"), 1)
    homes.settle(query(None), 2)
    assert session_of(query(None)) is None
    assert homes.of(query(None)) is None
    assert [homes.of(query("s", **other)) for other in ({}, {"key": "k"}, {"target": "t"})] == [1, None, None]
    homes.settle(query("t"), 2)
    homes.settle(query("s"), 3)
    homes.settle(query("u"), 4)
    assert [homes.of(query(name)) for name in "stu"] == [3, None, 4]


def test_a_gang_costs_nothing_where_its_members_agree() -> None:
    placing = place([replace(ASK, session=MINE)] * 2, estimates(EASY, EASY), terrain(FLEET, (2, 0, 8, 8)))
    assert placing.problem.gang is not None
    np.testing.assert_array_equal(solve(placing.problem, budget_s=0.5).choice, [0, 0])
