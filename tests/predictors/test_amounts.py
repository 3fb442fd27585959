"""Lengths and costs."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.amounts import fit_amounts
from predictors.base import QUANTILES

RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((2000, 3), dtype=np.float32)
VALUES = np.exp(3 + INPUTS[:, :1] * [1.0, 0.5] + RNG.normal(0, 0.4, (2000, 2)))
HOME, ABROAD = np.array([[True]]), np.array([[False]])


def test_the_mean_is_the_mean_and_quantiles_ascend() -> None:
    amounts = fit_amounts(INPUTS, VALUES)
    deviation = amounts.deviation(INPUTS)
    quantiles = amounts.quantiles(deviation, HOME)
    assert quantiles.shape == (2000, 2, QUANTILES)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    np.testing.assert_allclose(quantiles.mean(axis=2), amounts.mean(deviation, HOME), rtol=1e-4)
    np.testing.assert_allclose(amounts.mean(deviation, HOME).mean(axis=0), VALUES.mean(axis=0), rtol=0.03)


def test_eighths_hold_an_eighth_each() -> None:
    amounts = fit_amounts(INPUTS, VALUES)
    quantiles = amounts.quantiles(amounts.deviation(INPUTS), HOME)
    below = (VALUES[:, :, None] < quantiles).mean(axis=0)
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    assert np.abs(below - levels)[:, 1:-1].max() < 0.03


def test_far_away_a_model_has_its_own_mean() -> None:
    amounts = fit_amounts(INPUTS, VALUES)
    np.testing.assert_allclose(
        amounts.mean(amounts.deviation(INPUTS[:5]), ABROAD), np.repeat(VALUES.mean(axis=0)[None], 5, 0), rtol=1e-3
    )


def test_what_is_not_recorded_is_not_estimated() -> None:
    values = VALUES.copy()
    values[:, 1] = np.nan
    amounts = fit_amounts(INPUTS, values)
    mean = amounts.mean(amounts.deviation(INPUTS[:3]), HOME)
    assert np.isfinite(mean[:, 0]).all()
    assert np.isnan(mean[:, 1]).all()


def test_costs_of_zero_are_legal() -> None:
    free = fit_amounts(INPUTS, np.zeros((2000, 1)))
    assert free.mean(free.deviation(INPUTS[:3]), HOME) == pytest.approx(0)
    some = np.where(RNG.random((2000, 1)) < 0.5, 0.0, VALUES[:, :1])
    partly = fit_amounts(INPUTS, some)
    assert partly.mean(partly.deviation(INPUTS), HOME).mean() == pytest.approx(some.mean(), rel=0.1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_rows_are_enough(count: int) -> None:
    amounts = fit_amounts(INPUTS[:count], VALUES[:count])
    mean = amounts.mean(amounts.deviation(INPUTS[:9]), HOME)
    assert (mean <= VALUES[:count].max() * 1.5).all()
    assert (mean >= VALUES[:count].min() / 1.5).all()
