"""From pools to predictions, end to end: good on what was learned, sane on everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictors.base import QUANTILES, Prediction, Prompt
from predictors.encoder import EncoderError
from predictors.metrics import auc
from predictors.training import TrainingError, train
from tests.predictors.pools import GROUPS, MODELS, SKILL, made, pool_of, queries, sentence

TRAINED = train([made(600)])
FRESH = [(group, sentence(group, np.random.default_rng(seed))) for group in GROUPS for seed in range(100, 120)]
ODD_TEXTS = ("", "\0\xff\ud800", "z" * 1_000_000, "日本語の質問です")
ODD = [*map(Prompt, ODD_TEXTS), Prompt("hi", "{not json")]


def check(prediction: Prediction, rows: int, models: int) -> None:
    """Shapes, types and bounds that hold for every prediction."""
    assert prediction.quality.shape == prediction.quality_sd.shape == prediction.cost_usd.shape == (rows, models)
    assert prediction.output_quantiles.shape == (rows, models, QUANTILES)
    assert prediction.quality.dtype == prediction.quality_sd.dtype == np.float32
    assert prediction.output_quantiles.dtype == np.float32
    assert prediction.cost_usd.dtype == np.float64
    assert ((prediction.quality >= 0) & (prediction.quality <= 1)).all()
    assert (prediction.quality_sd > 0).all()
    known = prediction.output_quantiles[~np.isnan(prediction.output_quantiles).any(axis=2)]
    assert (np.diff(known, axis=-1) >= 0).all()


def test_each_model_is_best_at_what_it_was_best_at() -> None:
    prediction = TRAINED.predictor.predict([Prompt(text) for _, text in FRESH])
    check(prediction, len(FRESH), len(MODELS))
    truth = np.array([[SKILL[model][GROUPS.index(group)] for model in MODELS] for group, _ in FRESH])
    assert np.abs(prediction.quality - truth).mean() < 0.1


def test_longer_questions_cost_more() -> None:
    short, long = (" ".join(["add", "the", "numbers", "twice"] * times) + " 5" for times in (2, 7))
    prediction = TRAINED.predictor.predict([Prompt(short), Prompt(long)])
    assert (prediction.cost_usd[1] > 1.5 * prediction.cost_usd[0]).all()
    assert (prediction.output_tokens[1] > 1.5 * prediction.output_tokens[0]).all()
    assert TRAINED.predictor.characters_per_token == pytest.approx(5, rel=0.01)


def test_odd_prompts_are_predicted_with_more_doubt() -> None:
    odd = TRAINED.predictor.predict(ODD)
    check(odd, len(ODD), len(MODELS))
    usual = TRAINED.predictor.predict([Prompt(text) for _, text in FRESH])
    assert odd.quality_sd[3].mean() > usual.quality_sd.mean()


def test_a_prompt_is_predicted_alike_in_company() -> None:
    prompts = [Prompt(text) for _, text in FRESH[::7]] + ODD
    whole = TRAINED.predictor.predict(prompts)
    for row, prompt in enumerate(prompts):
        alone = TRAINED.predictor.predict([prompt])
        np.testing.assert_allclose(alone.quality[0], whole.quality[row], rtol=0, atol=1e-6)
        np.testing.assert_allclose(alone.quality_sd[0], whole.quality_sd[row], rtol=0, atol=1e-5)
        np.testing.assert_allclose(alone.output_quantiles[0], whole.output_quantiles[row], rtol=1e-5)
        np.testing.assert_allclose(alone.cost_usd[0], whole.cost_usd[row], rtol=1e-5)
    check(TRAINED.predictor.predict([]), 0, len(MODELS))


def test_the_held_out_sample_was_not_learned_from() -> None:
    held = TRAINED.held_out
    assert len(held.weight) == 600
    assert (held.weight == 1).all()
    assert 0.6 < auc(held.quality, held.score) < 0.95
    assert TRAINED.manifest.metrics["auc"] == pytest.approx(auc(held.quality, held.score), abs=1e-3)


def test_the_same_seed_gives_the_same_predictor() -> None:
    prompts = [Prompt(text) for _, text in FRESH]
    one, two = (train([made(150)], seed=5).predictor.predict(prompts).quality for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("predictor", ["retrieval", "trained"])
def test_the_parts_alone_predict_too(predictor: str) -> None:
    prediction = train([made(300)], predictor=predictor).predictor.predict([Prompt(text) for _, text in FRESH])
    check(prediction, len(FRESH), len(MODELS))
    assert prediction.quality.std() > 0.05


def test_pools_without_groups_are_learned_from() -> None:
    prediction = train([made(600, grouped=False)]).predictor.predict([Prompt(text) for _, text in FRESH])
    truth = np.array([[SKILL[model][GROUPS.index(group)] for model in MODELS] for group, _ in FRESH])
    assert np.abs(prediction.quality - truth).mean() < 0.15


def test_pools_with_other_models_are_learned_together() -> None:
    first, second = made(300), made(300, seed=1)
    other = replace(second, models=("alpha", "beta", "large"))
    artifact = train([first, other])
    assert artifact.predictor.models == ("small", "coder", "large", "alpha", "beta")
    check(artifact.predictor.predict([Prompt(text) for _, text in FRESH]), len(FRESH), 5)
    assert np.isnan(artifact.held_out.score[:300, 3:]).all()


def test_one_row_is_enough() -> None:
    artifact = train([pool_of(["only this"], [[1.0, 0.0]], ["a", "b"])])
    prediction = artifact.predictor.predict([Prompt("only this"), *ODD])
    check(prediction, 1 + len(ODD), 2)
    assert (prediction.quality[:, 0] >= prediction.quality[:, 1]).all()
    assert np.isnan(prediction.output_quantiles).all()


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_labels_that_are_all_equal(score: float) -> None:
    prediction = train([pool_of([f"text {n}" for n in range(40)], [[score]] * 40)]).predictor.predict([Prompt("text")])
    assert abs(float(prediction.quality[0, 0]) - score) < 0.1


def test_a_model_without_a_label_gets_a_broad_guess() -> None:
    pool = made(300)
    score = pool.score.copy()
    score[:, 1] = np.nan
    prediction = train([replace(pool, score=score)]).predictor.predict([Prompt(text) for _, text in FRESH])
    check(prediction, len(FRESH), 3)
    assert (np.abs(prediction.quality[:, 1] - 0.5) < 0.45).all()
    assert prediction.quality_sd[:, 1].mean() > prediction.quality_sd[:, 0].mean()


def test_sparse_scores_and_repeated_queries() -> None:
    pool = made(300)
    score = np.where(np.random.default_rng(0).random(pool.score.shape) < 0.5, np.nan, pool.score)
    texts = [pool.queries.texts[0]] * 50 + list(pool.queries.texts[50:])
    again = replace(pool, score=score, queries=queries(texts, ids=["same"] * 300))
    artifact = train([again])
    check(artifact.predictor.predict([Prompt(texts[0])]), 1, 3)
    assert len(artifact.text_hashes) == 251


def test_without_any_score_there_is_nothing_to_learn() -> None:
    with pytest.raises(TrainingError, match="no score"):
        train([pool_of(["a"], [[np.nan]])])
    with pytest.raises(TrainingError, match="no score"):
        train([])
    with pytest.raises(TrainingError, match="hybrid"):
        train([made(9)], predictor="guess")
    with pytest.raises(EncoderError, match="lexical"):
        train([made(9)], encoder="guess")


def test_a_shared_artifact_keeps_nothing_finer_than_means() -> None:
    artifact = train([made(203)], cell_size=8)
    memory = artifact.predictor.parts.retrieval.memory  # type: ignore[attr-defined]
    assert memory.size.min() >= 8
    assert artifact.held_out.weight.min() >= 8
    assert artifact.held_out.weight.sum() == memory.size.sum() == 203


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    train([made(60)], progress=lambda step, share: told.append((step, share)))
    assert list(dict.fromkeys(step for step, _ in told)) == ["folds", "tasks left out", "all queries"]
    assert told[-1] == ("all queries", 1.0)
