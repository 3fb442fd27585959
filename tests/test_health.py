"""What endpoints have shown, as masks over the fleet."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.errors import UpstreamBusyError, UpstreamError, UpstreamRejectedError
from gateway.health import Health
from tests.core.fleets import fleet


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(health: Health, index: int, error: UpstreamError, times: int = 1) -> str:
    result = ""
    for _ in range(times):
        leave = health.admit(index)
        assert leave is not None
        result = health.failed(index, leave, error)
    return result


def test_three_failures_in_a_row_close_an_endpoint_and_time_opens_it() -> None:
    clock = Clock()
    health = Health(fleet(), clock)
    assert fail(health, 1, UpstreamError("500"), times=3) == "failed"
    assert health.open(clock.now).tolist() == [True, False, True, True]
    assert health.is_down(1, clock.now)
    assert health.next_change(clock.now) == pytest.approx(101.0)
    clock.now = 101.0
    assert health.open(clock.now).all()
    probe = health.admit(1)
    assert probe is not None
    assert health.admit(1) is None  # one probe at a time
    health.answered(1, probe)
    assert health.admit(1) is not None


def test_a_busy_endpoint_is_left_alone_for_as_long_as_it_asked_and_is_not_down() -> None:
    clock = Clock()
    health = Health(fleet(), clock)
    assert fail(health, 0, UpstreamBusyError("429", retry_after=7.0)) == "busy"
    assert not health.open(clock.now)[0]
    assert not health.is_down(0, clock.now)
    assert health.wait(0, clock.now) == pytest.approx(7.0)
    clock.now += 7.0
    assert health.open(clock.now).all()
    assert health.next_change(clock.now) == inf


def test_a_clients_error_says_nothing_against_the_endpoint() -> None:
    clock = Clock()
    health = Health(fleet(), clock)
    assert fail(health, 0, UpstreamRejectedError(b"{}", upstream_status=400), times=5) == "rejected"
    assert health.open(clock.now).all()


def test_a_recovered_endpoint_gets_its_slots_back_little_by_little() -> None:
    clock = Clock()
    health = Health(fleet(), clock)
    unlimited = np.full(4, UNLIMITED)
    free = Headroom(np.array([2, 2, 8, 8]), unlimited, unlimited, unlimited)
    fail(health, 2, UpstreamError("reset"), times=3)
    clock.now += 1.0
    probe = health.admit(2)
    assert probe is not None
    health.answered(2, probe)
    shares = []
    for _ in range(5):
        shares.append(int(health.eased(free, clock.now).slots[2]))
        clock.now += 3.0
    assert shares[0] == 1
    assert shares == sorted(shares)
    assert shares[-1] == 8
    assert health.eased(free, clock.now) is free
