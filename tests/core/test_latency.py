"""The time that an endpoint will take, from what it is doing now."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.latency import (
    Pace,
    Traffic,
    in_time,
    seconds_of_service,
    seconds_to_start,
    slot_seconds,
)

if TYPE_CHECKING:
    from gateway.core.problem import Floats

PACE = Pace(
    prefill_s=np.array([1 / 1000, 1 / 2000]),
    token_s=np.array([1 / 50, 1 / 30]),
    crowding=np.array([0.1, 0.0]),
    overhead_s=np.array([0.2, 0.5]),
)
IDLE = Traffic(
    running=np.array([0, 0]),
    waiting=np.array([0, 0]),
    slots=np.array([4, 2]),
    mean_input=np.array([100.0, 100.0]),
    mean_output=np.array([100.0, 60.0]),
)


def test_an_idle_endpoint_takes_overhead_prefill_and_decoding() -> None:
    seconds = seconds_of_service(np.array([[500.0, 500.0]]), np.array([[100.0, 60.0]]), PACE, IDLE)
    assert np.allclose(seconds, [[0.2 + 0.5 + 2.0, 0.5 + 500 / 2000 + 60 / 30]])


def test_company_slows_each_token_up_to_the_slots() -> None:
    def took(running: int) -> float:
        crowded = dataclasses.replace(
            IDLE, running=np.array([running, 0]), mean_output=np.zeros(2), mean_input=np.zeros(2)
        )
        pace = dataclasses.replace(PACE, overhead_s=np.zeros(2))
        return float(seconds_of_service(np.zeros((1, 2)), np.full((1, 2), 100.0), pace, crowded)[0, 0])

    assert np.isclose(took(1) / took(0), 1.1)
    assert np.isclose(took(3) / took(0), 1.3)
    assert took(9) == took(3)


def test_a_full_endpoint_frees_a_slot_every_service_time_over_slots() -> None:
    full = dataclasses.replace(IDLE, running=np.array([4, 2]), waiting=np.array([2, 0]))
    service = 0.2 + 0.1 + 100 * 1.3 / 50
    assert np.isclose(seconds_to_start(full, slot_seconds(PACE, full))[0], 3 * service / 4)
    assert seconds_to_start(IDLE, slot_seconds(PACE, IDLE)).tolist() == [0.0, 0.0]
    assert np.isclose(slot_seconds(PACE, full)[0], service / 4)


def test_whoever_cannot_meet_its_deadline_gets_its_fastest() -> None:
    seconds = np.array([[1.0, 3.0], [5.0, 4.0], [1.0, 9.0]])
    allowed = np.array([[True, True], [True, True], [False, False]])
    early = in_time(seconds, np.array([2.0, 2.0, 2.0]), allowed)
    assert early.tolist() == [[True, False], [False, True], [False, False]]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 8), st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_ahead_never_means_sooner(running: int, waiting: int, slots: int, inputs: float, outputs: float) -> None:
    now = dataclasses.replace(
        IDLE, running=np.array([running] * 2), waiting=np.array([waiting] * 2), slots=np.array([slots] * 2)
    )
    later = dataclasses.replace(now, waiting=now.waiting + 1)
    tokens = np.full((1, 2), inputs), np.full((1, 2), outputs)

    def took(traffic: Traffic) -> Floats:
        return seconds_to_start(traffic, slot_seconds(PACE, traffic)) + seconds_of_service(*tokens, PACE, traffic)

    before, after = took(now), took(later)
    assert np.isfinite(before).all()
    assert (after >= before).all()
