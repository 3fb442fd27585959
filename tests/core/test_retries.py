"""The retry budget and the spread of retries."""

from __future__ import annotations

import random

import pytest

from gateway.core.retries import FIRST_BACKOFF_S, LAST_BACKOFF_S, RetryBudget, backoff


def test_an_outage_is_not_multiplied() -> None:
    budget = RetryBudget(share=0.2, per_second=1.0, least=20.0)
    granted = 0
    for i in range(10_000):
        budget.earn(i * 0.001)
        granted += budget.spend(i * 0.001)
    assert granted == pytest.approx(20 + 0.2 * 10_000 + 10, abs=2)


def test_a_quiet_gateway_may_retry() -> None:
    budget = RetryBudget(share=0.2, per_second=1.0, least=3.0)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(0.9)
    assert budget.spend(1.1)
    assert [budget.spend(1000.0) for _ in range(4)] == [True, True, True, False]


def test_all_that_an_endpoint_was_answering_may_be_tried_again_at_once() -> None:
    budget = RetryBudget(share=0.2, per_second=1.0, least=20.0, memory_s=60.0)
    for i in range(12_000):  # 200 a second for a minute
        budget.earn(i / 200)
    in_flight = 200 * 20 // 3  # answers of 20 s, at one of three endpoints
    assert all(budget.spend(60.0) for _ in range(in_flight))
    saved = in_flight
    while budget.spend(60.0):
        saved += 1
    assert saved <= 0.2 * 12_000


def test_what_was_saved_up_is_forgotten_with_its_traffic() -> None:
    budget = RetryBudget(share=0.2, per_second=0.0, least=20.0, memory_s=60.0)
    for i in range(12_000):
        budget.earn(i / 200)
    assert sum(budget.spend(600.0) for _ in range(1000)) == 20


def test_retries_are_spread_and_bounded() -> None:
    draw = random.Random(3).random
    first = [backoff(1, draw) for _ in range(500)]
    assert min(first) < 0.1 * FIRST_BACKOFF_S
    assert 0.9 * FIRST_BACKOFF_S < max(first) <= FIRST_BACKOFF_S
    assert max(backoff(50, draw) for _ in range(500)) <= LAST_BACKOFF_S
