"""Tokens times prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pricing import PriceCard, cost_usd, expected_output
from gateway.domain import Price, Usage

CARD = PriceCard.of([Price(input=0.15, output=0.60, cached_input=0.075), Price(input=3.0, output=15.0)])
TOKENS = st.integers(0, 1_000_000)


def test_a_limit_cuts_every_quantile() -> None:
    quantiles = np.array([[[10.0, 20.0, 30.0, 400.0]], [[10.0, 20.0, 30.0, 400.0]]])
    assert expected_output(quantiles, [np.inf, 25.0]).tolist() == [[115.0], [20.0]]
    assert expected_output(quantiles).tolist() == [[115.0], [115.0]]


def test_an_unknown_length_stays_unknown() -> None:
    quantiles = np.array([[[np.nan, np.nan], [1.0, 3.0]]])
    known = expected_output(quantiles, 2.0)
    assert np.isnan(known[0, 0])
    assert known[0, 1] == pytest.approx(1.5)


@given(st.tuples(TOKENS, TOKENS, TOKENS))
def test_it_agrees_with_the_bill(tokens: tuple[int, int, int]) -> None:
    fresh, cached, output = tokens
    predicted = cost_usd(CARD, [[fresh + cached] * 2], [[output] * 2], [[cached] * 2])
    usage = Usage(fresh + cached, output, cached)
    bills = [Price(0.15, 0.60, 0.075).usd(usage), Price(3.0, 15.0).usd(usage)]
    assert predicted[0].tolist() == pytest.approx(bills)


def test_cached_tokens_are_part_of_the_input() -> None:
    assert cost_usd(CARD, 100.0, 0.0, 500.0).tolist() == cost_usd(CARD, 100.0, 0.0, 100.0).tolist()


def test_free_models_cost_nothing() -> None:
    free = PriceCard.of([Price(0.0, 0.0)])
    assert cost_usd(free, [[1e6]], [[1e6]]).tolist() == [[0.0]]
