"""The breaker's table, row by row, and its promises under any sequence of reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker, BreakerRules, Pass, State

RULES = BreakerRules()


def _pass(breaker: Breaker, now: float) -> Pass:
    leave = breaker.admit(now)
    assert leave is not None
    return leave


def _opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(RULES.in_a_row):
        breaker.failed(_pass(breaker, now), now)
    assert breaker.state(now) is State.OPEN
    return breaker


def _half_open() -> tuple[Breaker, float]:
    breaker = _opened()
    assert breaker.state(RULES.open_s) is State.HALF_OPEN
    return breaker, RULES.open_s


def test_a_well_endpoint_takes_all_it_has() -> None:
    breaker = Breaker(RULES)
    assert breaker.allows(0.0)
    assert breaker.share(0.0) == 1.0
    assert breaker.wait(0.0) == 0.0


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker(RULES)
    for _ in range(4):
        breaker.failed(_pass(breaker, 0), 0)
        breaker.failed(_pass(breaker, 0), 0)
        for _ in range(4):
            breaker.served(_pass(breaker, 0), 0)
    assert breaker.state(0) is State.CLOSED
    for _ in range(3):
        breaker.failed(_pass(breaker, 0), 0)
    assert breaker.state(0) is State.OPEN


def test_every_second_one_failing_opens_it_too() -> None:
    breaker = Breaker(RULES)
    sent = 0
    while breaker.allows(0):
        sent += 1
        (breaker.failed if sent % 2 else breaker.served)(_pass(breaker, 0), 0)
    assert sent <= RULES.recent


def test_open_lets_nothing_through_and_says_for_how_long() -> None:
    breaker = _opened(5.0)
    assert breaker.admit(5.5) is None
    assert breaker.share(5.5) == 0.0
    assert breaker.wait(5.5) == pytest.approx(RULES.open_s - 0.5)


def test_one_probe_only() -> None:
    breaker, now = _half_open()
    assert breaker.allows(now)
    assert breaker.share(now) == 0.0
    _pass(breaker, now)
    assert breaker.admit(now) is None
    assert breaker.wait(now) > 0


def test_a_probe_that_is_served_closes_it_and_starts_slowly() -> None:
    breaker, now = _half_open()
    breaker.served(_pass(breaker, now), now)
    assert breaker.state(now) is State.CLOSED
    shares = [breaker.share(now + seconds) for seconds in (0, 3, 6, 9, 10, 99)]
    assert shares[0] == RULES.slow_start_from
    assert shares == sorted(shares)
    assert shares[-2:] == [1.0, 1.0]


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_bound() -> None:
    breaker, now = _half_open()
    waits = []
    for _ in range(8):
        breaker.failed(_pass(breaker, now), now)
        waits.append(breaker.wait(now))
        now += waits[-1]
    assert waits[:3] == [2, 4, 8]
    assert waits[-1] == RULES.open_most_s


def test_the_first_open_time_comes_back_once_it_has_been_well() -> None:
    breaker, now = _half_open()
    breaker.served(_pass(breaker, now), now)
    now += RULES.slow_start_s + 1
    breaker.served(_pass(breaker, now), now)
    for _ in range(RULES.in_a_row):
        breaker.failed(_pass(breaker, now), now)
    assert breaker.wait(now) == RULES.open_s


def test_a_probe_whose_client_leaves_is_free_again() -> None:
    breaker, now = _half_open()
    breaker.abandoned(_pass(breaker, now), now)
    assert breaker.allows(now)


def test_a_probe_that_never_reports_is_given_up_and_not_heard_any_more() -> None:
    breaker, now = _half_open()
    lost = _pass(breaker, now)
    now += RULES.probe_s
    second = _pass(breaker, now)
    breaker.failed(lost, now)
    assert breaker.state(now) is State.HALF_OPEN
    breaker.served(second, now)
    assert breaker.state(now) is State.CLOSED


def test_what_was_sent_before_it_opened_is_not_heard() -> None:
    breaker = Breaker(RULES)
    early = [_pass(breaker, 0) for _ in range(20)]
    for leave in early[:3]:
        breaker.failed(leave, 0)
    for leave in early[3:]:
        breaker.failed(leave, 0.5)
    assert breaker.wait(0.5) == pytest.approx(0.5)
    now = RULES.open_s
    _pass(breaker, now)
    breaker.served(early[0], now)
    assert breaker.state(now) is State.HALF_OPEN


def test_refused_credentials_open_it_for_long_at_once() -> None:
    breaker = Breaker(RULES)
    breaker.refused(_pass(breaker, 0), 0)
    assert breaker.wait(0) == RULES.refused_s


@pytest.mark.parametrize(("said", "waits"), [(7.0, 7.0), (None, RULES.cool_s), (-3.0, 0.0), (9e9, RULES.cool_most_s)])
def test_a_limit_cools_it_down_for_as_long_as_it_says(said: float | None, waits: float) -> None:
    breaker = Breaker(RULES)
    breaker.limited(_pass(breaker, 0), 0, said)
    assert breaker.state(0) is State.CLOSED
    assert breaker.wait(0) == waits
    assert breaker.allows(waits)
    assert breaker.share(waits) == 1.0


def test_a_burst_of_limits_counts_once_and_the_next_burst_twice_as_long() -> None:
    breaker = Breaker(RULES)
    burst = [_pass(breaker, 0) for _ in range(10)]
    for leave in burst:
        breaker.limited(leave, 0)
    first = breaker.wait(0)
    assert first <= 2 * RULES.cool_s
    breaker.limited(_pass(breaker, first), first)
    assert breaker.wait(first) == 2 * RULES.cool_s


def test_a_limited_probe_keeps_it_open_for_as_long_as_it_says() -> None:
    breaker, now = _half_open()
    breaker.limited(_pass(breaker, now), now, 4.0)
    assert breaker.state(now) is State.OPEN
    assert breaker.wait(now) == 4.0
    assert breaker.state(now + 4.0) is State.HALF_OPEN


REPORTS = st.sampled_from(["served", "failed", "refused", "limited", "abandoned", "nothing"])


@given(st.lists(st.tuples(st.floats(0, 30), REPORTS, st.integers(0, 5)), max_size=80))
def test_under_any_reports_it_can_always_be_tried_again(steps: list[tuple[float, str, int]]) -> None:
    breaker = Breaker(RULES)
    now, out = 0.0, list[Pass]()
    for pause, report, which in steps:
        now += pause
        leave = breaker.admit(now)
        if leave is not None:
            out.append(leave)
        if out and report != "nothing":
            getattr(breaker, report)(out[which % len(out)], now)
        if breaker.state(now) is State.HALF_OPEN:
            assert sum(breaker.admit(now) is not None for _ in range(3)) <= 1
        assert 0.0 <= breaker.share(now) <= 1.0
        assert breaker.allows(now) == (breaker.wait(now) == 0)
        assert breaker.allows(now + breaker.wait(now) + 1e-6)
