"""What a key may still use: values in, values out."""

from __future__ import annotations

from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.allowance import COLD, MARGIN, RECORD, Caution, Limit, Tally, Use, span_of
from gateway.core.problem import NANO
from gateway.core.rates import RateWindow
from gateway.domain import Budget, Key, Span

DAILY = Key("k", budget=Budget(1.0, Span.DAY))
CENT = NANO // 100


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    return timegm((year, month, day, hour, 0, 0))


def test_a_span_is_a_day_or_a_month_in_utc() -> None:
    monthly = Key("k", budget=Budget(1.0, Span.MONTH))
    assert span_of(DAILY, at(2026, 2, 28, 23)) == "2026-02-28"
    assert span_of(monthly, at(2026, 2, 28, 23)) == "2026-02"
    assert span_of(Key("k"), at(2026, 2, 28)) == ""


def test_a_budget_is_taken_corrected_and_never_passed() -> None:
    tally = Tally(DAILY)
    first = tally.take(Use(nano=60 * CENT), 0, "d1")
    assert first.taken
    assert tally.take(Use(nano=41 * CENT), 0, "d1").refused is Limit.BUDGET
    tally.correct(first.taken, Use(nano=10 * CENT))
    assert tally.left(0, "d1").nano == 90 * CENT
    assert tally.take(Use(nano=90 * CENT), 0, "d1").taken
    assert tally.take(Use(), 0, "d1").refused is Limit.BUDGET  # nothing at all is left


def test_a_new_day_begins_anew_and_late_corrections_of_the_last_do_not_count_in_it() -> None:
    tally = Tally(DAILY)
    taken = tally.take(Use(nano=100 * CENT), 0, "d1").taken
    assert taken
    assert tally.left(0, "d2").nano == 100 * CENT
    tally.correct(taken, Use(nano=500 * CENT))
    assert tally.left(0, "d2").nano == 100 * CENT


def test_rates_say_when_there_is_room() -> None:
    tally = Tally(Key("k", requests_per_minute=2, tokens_per_minute=100))
    assert tally.take(Use(requests=1, tokens=50), 2, "").taken
    assert tally.take(Use(requests=1, tokens=20), 12, "").taken
    refused = tally.take(Use(requests=1), 20, "")
    assert (refused.refused, refused.wait_s) == (Limit.REQUESTS, 45)  # the slice of 0..5 s ends to count at 65
    assert refused.left.requests == 0
    refused = tally.take(Use(tokens=31), 20, "")
    assert (refused.refused, refused.wait_s, refused.left.tokens) == (Limit.TOKENS, 45, 30)
    assert tally.take(Use(tokens=81), 20, "").wait_s == 55  # more than the first slice gives back


def test_what_is_larger_than_the_limit_may_come_when_nothing_else_does() -> None:
    tally = Tally(Key("k", tokens_per_minute=100))
    assert tally.take(Use(tokens=500), 0, "").taken
    assert tally.take(Use(tokens=1), 10, "").refused is Limit.TOKENS


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_alone_it_takes_one_share_of_what_was_left(shares: int) -> None:
    tally = Tally(DAILY)
    tally.heard("d1", 40 * CENT)
    tally.alone(shares)
    granted = sum(tally.take(Use(nano=CENT), 0, "d1").taken is not None for _ in range(200))
    assert granted == 60 // shares


def test_other_limits_count_what_was_used_before() -> None:
    tally = Tally(DAILY)
    tally.take(Use(nano=80 * CENT), 0, "d1")
    tally.limit(Key("k", budget=Budget(0.5, Span.DAY)))
    assert tally.take(Use(nano=1), 0, "d1").refused is Limit.BUDGET
    tally.limit(Key("k", budget=Budget(2.0, Span.DAY)))
    assert tally.left(0, "d1").nano == 120 * CENT


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)), min_size=1, max_size=RECORD))
def test_a_reservation_is_enough_for_each_answer_of_the_record(answers: list[tuple[float, float]]) -> None:
    caution = Caution()
    for expected, actual in answers:
        caution.learn("m", expected, actual)
    assert all(caution.reservation("m", expected) >= actual * NANO for expected, actual in answers)


def test_before_anything_is_known_a_reservation_is_large_and_later_it_follows_the_answers() -> None:
    caution = Caution()
    assert caution.reservation("m", 0.01) == pytest.approx(0.01 * COLD * MARGIN * NANO)
    for _ in range(RECORD):
        caution.learn("m", 0.01, 0.015)
    assert caution.reservation("m", 0.01) == pytest.approx(0.015 * MARGIN * NANO)
    assert caution.reservation("other", 0.01) == pytest.approx(0.01 * COLD * MARGIN * NANO)
    caution.learn("m", 0.0, 0.0)  # a model that costs nothing
    assert caution.reservation("m", 0.0) == 0


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=20).map(sorted),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_the_time_until_there_is_room_is_exact(taken: list[tuple[int, int]], limit: int, amount: int) -> None:
    window = RateWindow(limit)
    for when, size in taken:
        window.take(size, when)
    wait = window.room_in(amount, 100)
    if amount > limit:
        assert wait == float("inf")
    elif wait:
        assert window.left(100 + wait - 0.001) < amount <= window.left(100 + wait)
    else:
        assert window.left(100) >= amount
