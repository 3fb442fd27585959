"""When those who were sent away are told to come back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.core.appointments import LONGEST_S, Appointments

M = ("m",)


def told(
    book: Appointments, count: int, *, priority: int = 0, models: tuple[str, ...] = M, now: float = 0.0
) -> list[float]:
    return [book.give(models, priority, soonest=1.0, between=0.5, now=now) for _ in range(count)]


def test_each_is_told_a_time_of_its_own() -> None:
    assert told(Appointments(), 4) == [1.0, 1.5, 2.0, 2.5]


def test_times_stay_told_until_they_have_passed() -> None:
    book = Appointments()
    told(book, 4)  # the last at 2.5
    assert told(book, 1, now=1.0) == [2.0]
    assert told(book, 1, now=50.0) == [1.0]


def test_priority_does_not_wait_for_those_who_come_after_it() -> None:
    book = Appointments()
    told(book, 10)
    assert told(book, 2, priority=1) == [1.0, 1.5]
    assert told(book, 1, priority=-1) == [6.0]


def test_others_who_may_go_elsewhere_are_not_kept_waiting() -> None:
    book = Appointments()
    told(book, 10)
    assert told(book, 1, models=("n",)) == [1.0]


def test_places_that_others_take_stretch_the_distance() -> None:
    book = Appointments()
    for _ in range(5000):
        for admitted in (True, False):
            book.came(admitted=admitted)
    first, second, *_ = told(book, 2)
    assert second - first == pytest.approx(0.5 / 0.5, rel=0.01)  # half of those who come find a place


def test_nobody_is_told_to_stay_away_for_good() -> None:
    book = Appointments()
    times = told(book, 500)
    assert max(times) == LONGEST_S
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_when_there_is_room_old_times_keep_nobody_waiting() -> None:
    book = Appointments()
    told(book, 10)
    book.clear()
    assert told(book, 1) == [1.0]


def test_what_has_passed_is_forgotten() -> None:
    book = Appointments()
    for number in range(10_000):
        assert told(book, 1, models=(str(number),), now=10.0 * number) == [1.0]
    assert len(book) < 1000
