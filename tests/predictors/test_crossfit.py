"""Out-of-fold predictions for every row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictors.crossfit import crossfit
from predictors.metrics import auc
from tests.predictors.pools import made, queries


def test_every_row_is_predicted_from_the_others() -> None:
    pool = made(400)
    found = crossfit(pool)
    assert found.prediction.quality.shape == pool.score.shape
    assert sorted(set(found.fold.tolist())) == [0, 1, 2, 3, 4]
    assert auc(found.prediction.quality, pool.score) > 0.6
    assert found.prediction.cost_usd.sum() == pytest.approx(pool.cost.sum(), rel=0.1)


def test_labels_of_a_row_do_not_reach_its_estimate() -> None:
    pool = made(200)
    noise = replace(pool, score=np.random.default_rng(0).integers(0, 2, pool.score.shape).astype(np.float64))
    assert abs(auc(crossfit(noise).prediction.quality, noise.score) - 0.5) < 0.08


def test_equal_texts_stay_in_one_fold() -> None:
    pool = made(90)
    texts = [text if row % 3 else "the same question" for row, text in enumerate(pool.queries.texts)]
    found = crossfit(replace(pool, queries=queries(texts)))
    assert len({int(fold) for fold, text in zip(found.fold, texts, strict=True) if text == "the same question"}) == 1


def test_a_group_can_be_left_out_whole() -> None:
    pool = made(240)
    found = crossfit(pool, by="group")
    by_group = {group: {int(each) for each in found.fold[np.array(pool.groups) == group]} for group in set(pool.groups)}
    assert all(len(folds) == 1 for folds in by_group.values())
    assert len(set(found.fold.tolist())) == len(by_group)


def test_rows_may_be_fewer_than_folds() -> None:
    found = crossfit(made(3))
    assert np.isfinite(found.prediction.quality).all()
    assert np.isfinite(crossfit(made(1)).prediction.quality).all()
