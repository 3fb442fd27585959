"""Baselines on texts whose outcomes are plain to see."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.lab import baselines as lab


def made(queries: int = 80) -> lab.Labelled:
    """Sums that only model 1 solves, and towns that both know."""
    texts = [f"add {n} and {n + 1}" if n % 2 else f"which town lies at river number {n}" for n in range(queries)]
    groups = ["sum" if n % 2 else "town" for n in range(queries)]
    score = np.array([[0.0 if n % 2 else 1.0, 1.0] for n in range(queries)])
    return lab.Labelled(texts, groups, score)


@pytest.mark.parametrize("name", lab.RIVALS)
def test_a_learned_baseline_tells_what_only_one_model_can(name: str) -> None:
    quality = lab.predict_baselines(made(), ["add 7 and 900", "which town lies at river number 901"])[name]
    assert quality[0, 0] < 0.5 < quality[1, 0]
    assert quality[:, 1] == pytest.approx([1.0, 1.0], abs=0.1)


def test_the_constant_is_the_mean() -> None:
    quality = lab.predict_baselines(made(), ["anything"])[lab.CONSTANT]
    assert quality == pytest.approx(np.array([[0.5, 1.0]]))


def test_a_single_row_and_a_model_without_labels_are_legal() -> None:
    train = lab.Labelled(["only"], [""], np.array([[1.0, np.nan]]))
    for name, quality in lab.predict_baselines(train, ["only", ""]).items():
        assert quality.shape == (2, 2), name
        assert np.isfinite(quality).all(), name


def test_texts_without_a_word_twice_are_legal() -> None:
    train = lab.Labelled(["a", ""], ["", ""], np.array([[1.0], [0.0]]))
    assert np.isfinite(lab.predict_baselines(train, ["b"])[lab.BLEND]).all()


def test_neighbours_shrink_to_the_mean() -> None:
    near = np.array([[1.0, 0.5, 0.0, 0.0]])
    score = np.array([[1.0], [1.0], [0.0], [np.nan]])
    assert lab.neighbours(near, score, 2, 0.0) == pytest.approx(1.0)
    assert lab.neighbours(near, score, 2, 2.0) == pytest.approx((2 + 2 * 2 / 3) / 4)
    assert lab.neighbours(near, score, 99, 0.0) == pytest.approx(2 / 3)


def test_a_label_between_0_and_1_is_a_soft_one() -> None:
    texts = ["red stone"] * 50 + ["blue water"] * 50
    score = np.repeat([0.25, 0.75], 50)[:, None]
    quality = lab.predict_baselines(lab.Labelled(texts, ["x"] * 100, score), ["red stone", "blue water"])
    assert quality[lab.LOGISTIC][:, 0] == pytest.approx([0.25, 0.75], abs=0.06)


def test_means_of_nothing_are_those_of_all() -> None:
    assert lab.means(np.array([[1.0, np.nan], [0.0, np.nan]])) == pytest.approx([0.5, 0.5])
    assert lab.means(np.full((2, 2), np.nan)) == pytest.approx([0.0, 0.0])
