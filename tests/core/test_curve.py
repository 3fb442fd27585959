"""The curve of what a price of quality buys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.curve import filled_scores, isotonic, trace
from tests.core.samples import chosen, constants, sample


def test_each_knot_is_what_its_multiplier_gives() -> None:
    whole = sample()
    curve = trace(whole)
    for knot in range(0, len(curve.multiplier), 16):
        quality, _, cost = chosen(whole, curve.multiplier[knot])
        assert curve.predicted[knot] == pytest.approx(quality.mean(), abs=2e-4)
        assert curve.cost_usd[knot] == pytest.approx(cost.mean(), rel=2e-3)
        assert curve.predicted_sd[knot] == pytest.approx(quality.std(), abs=2e-3)


def test_it_goes_from_the_cheapest_to_the_best() -> None:
    whole = sample()
    curve = trace(whole)
    assert curve.cost_usd[0] == pytest.approx(whole.cost_usd.min(axis=1).mean())
    assert curve.predicted[-1] == pytest.approx(whole.quality.max(axis=1).mean(), abs=1e-3)
    for values in (curve.multiplier, curve.predicted, curve.realised, curve.cost_usd):
        assert (np.diff(values) >= 0).all()


def test_weights_count_as_so_many_queries() -> None:
    once = sample(queries=200)
    twice = replace(once, weight=np.full(200, 2.0))
    assert trace(twice).realised.tolist() == pytest.approx(trace(once).realised.tolist())


def test_a_missing_score_is_the_corrected_prediction() -> None:
    known = sample(queries=400)
    score = known.score.copy()
    score[200:, 0] = np.nan
    bias = (score[:200, 0] - known.quality[:200, 0]).mean()
    filled = filled_scores(replace(known, score=score))
    assert filled[200:, 0] == pytest.approx(np.clip(known.quality[200:, 0] + bias, 0, 1))
    assert (filled[:200] == score[:200]).all()


def test_a_model_without_a_cost_or_an_estimate_is_never_taken() -> None:
    whole = sample(queries=100)
    cost, quality = whole.cost_usd.copy(), whole.quality.copy()
    cost[:, 0], quality[:, 1] = np.nan, np.nan
    curve = trace(replace(whole, cost_usd=cost, quality=quality))
    assert curve.cost_usd[0] == pytest.approx(whole.cost_usd[:, 2].mean())


def test_risk_changes_choices_and_not_what_is_counted() -> None:
    whole = sample(queries=300)
    sd = whole.quality_sd.copy()
    sd[:, -1] = 0.5  # nobody knows the dearest model
    careful = trace(replace(whole, quality_sd=sd), risk=1.0)
    assert careful.cost_usd[-1] < trace(whole).cost_usd[-1]
    assert careful.predicted[0] == pytest.approx(trace(whole).predicted[0])


def test_free_models_give_one_knot_the_best_of_them() -> None:
    curve = trace(constants([0.4, 0.7], [0.0, 0.0]))
    assert curve.predicted.tolist() == pytest.approx([0.7])
    assert curve.multiplier[0] > 0


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="some model can serve"):
        trace(constants([0.4, np.nan], [np.nan, 1.0]))


def test_beyond_its_last_knot_no_realised_quality_is_bought() -> None:
    whole = sample()
    curve = trace(replace(whole, score=np.zeros_like(whole.score)))
    assert curve.last == 0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_isotonic_never_falls_and_keeps_the_mean(values: list[float]) -> None:
    fitted = isotonic(np.array(values))
    assert (np.diff(fitted) >= 0).all()
    assert fitted.mean() == pytest.approx(np.mean(values), abs=1e-9)
    assert isotonic(fitted).tolist() == pytest.approx(fitted.tolist())
