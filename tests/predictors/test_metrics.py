"""Measures, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.metrics import auc, brier, calibration_error

SCORE = np.array([[0.0], [0.0], [1.0], [1.0]])


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc(np.array([[0.1], [0.4], [0.35], [0.8]]), SCORE) == pytest.approx(0.75)
    assert auc(np.full((4, 1), 0.5), SCORE) == pytest.approx(0.5)


def test_brier_and_calibration() -> None:
    guess = np.array([[0.25], [0.25], [0.75], [0.75]])
    assert brier(guess, SCORE) == pytest.approx(0.0625)
    assert calibration_error(guess, SCORE) == pytest.approx(0.25)
    assert calibration_error(np.full((4, 1), 0.5), SCORE) == pytest.approx(0)


def test_models_are_averaged_and_missing_scores_left_out() -> None:
    guess = np.array([[0.0, 0.5], [0.0, 0.5], [1.0, 0.5], [1.0, 0.5]])
    score = np.array([[0.0, np.nan], [0.0, 1], [1.0, np.nan], [1.0, 1]])
    assert brier(guess, score) == pytest.approx(0.125)
    assert auc(guess, score) == pytest.approx(1), "a model with one outcome has no area"
    assert np.isnan(auc(guess, np.full((4, 2), np.nan)))
    assert np.isnan(brier(guess, np.full((4, 2), np.nan)))
