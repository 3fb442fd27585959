"""The rate window against a plain list of what was taken when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rates import MINUTE_S, SLICE_S, RateWindow, slice_at

STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 30)), max_size=60)


@given(STEPS)
def test_no_minute_wherever_it_begins_holds_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    window = RateWindow(50)
    now, taken = 0.0, list[tuple[float, int]]()
    for pause, amount in steps:
        now += pause
        if amount <= window.left(now):
            window.take(amount, now)
            taken.append((now, amount))
        assert sum(a for at, a in taken if now - MINUTE_S < at <= now) <= 50


@given(STEPS)
def test_what_is_older_than_a_minute_and_a_slice_never_counts(steps: list[tuple[float, int]]) -> None:
    window = RateWindow(50)
    now, taken = 0.0, list[tuple[float, int]]()
    for pause, amount in steps:
        now += pause
        window.take(amount, now)
        taken.append((now, amount))
        assert window.left(now) >= max(0, 50 - sum(a for at, a in taken if at > now - MINUTE_S - SLICE_S))


def test_room_comes_back_when_it_says() -> None:
    window = RateWindow(10)
    window.take(10, 3.0)
    turn = window.turns_in(20.0)
    assert window.left(20.0 + turn - 0.001) == 0
    assert window.left(20.0 + turn + 0.001) == 10
    assert window.turns_in(20.0 + turn + 0.001) == float("inf")


def test_a_correction_counts_in_the_slice_of_its_estimate() -> None:
    window = RateWindow(100)
    early = window.take(40, 1.0)
    window.take(40, 50.0)
    window.correct(early, -30)
    assert window.left(50.0) == 50
    assert window.left(66.0) == 60


@pytest.mark.parametrize("used", [-1000, -41])
def test_a_correction_never_gives_more_than_was_taken(used: int) -> None:
    window = RateWindow(100)
    number = window.take(40, 1.0)
    window.correct(number, used)
    assert window.left(1.0) == 100


def test_a_correction_of_a_slice_that_has_gone_changes_nothing() -> None:
    window = RateWindow(100)
    number = window.take(40, 1.0)
    window.take(10, 120.0)
    window.correct(number, 90)
    assert window.left(120.0) == 90


def test_overuse_leaves_nothing_rather_than_less() -> None:
    window = RateWindow(100)
    window.correct(window.take(90, 1.0), 50)
    assert window.left(1.0) == 0
    assert slice_at(1.0) == 0
