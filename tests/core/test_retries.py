"""The retry budget and the spread of retries."""

from __future__ import annotations

import random

import pytest

from gateway.core.retries import FIRST_BACKOFF_S, LAST_BACKOFF_S, RetryBudget, backoff


def test_an_outage_is_not_multiplied() -> None:
    budget = RetryBudget(share=0.2, per_second=1.0, most=20.0)
    granted = 0
    for i in range(10_000):
        budget.earn()
        granted += budget.spend(i * 0.001)
    assert granted == pytest.approx(20 + 0.2 * 10_000 + 10, abs=2)


def test_a_quiet_gateway_may_retry() -> None:
    budget = RetryBudget(share=0.2, per_second=1.0, most=3.0)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(0.9)
    assert budget.spend(1.1)
    assert [budget.spend(1000.0) for _ in range(4)] == [True, True, True, False]


def test_retries_are_spread_and_bounded() -> None:
    draw = random.Random(3).random
    first = [backoff(1, draw) for _ in range(500)]
    assert min(first) < 0.1 * FIRST_BACKOFF_S
    assert 0.9 * FIRST_BACKOFF_S < max(first) <= FIRST_BACKOFF_S
    assert max(backoff(50, draw) for _ in range(500)) <= LAST_BACKOFF_S
