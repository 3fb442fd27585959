"""Neighbours, weighed by likeness and held to the prior."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.retrieval import NEAREST, NEIGHBOURS, SHARPNESS, STRENGTH, Retrieval, remember

EAST, NORTH = np.eye(2, dtype=np.float32)
PRIOR = np.array([0.5], np.float32)


def test_neighbours_pull_the_estimate_from_the_prior() -> None:
    memory = remember(np.stack([EAST] * 30 + [NORTH] * 30), np.array([[1.0]] * 30 + [[0.0]] * 30))
    found = Retrieval(memory)(np.stack([EAST, NORTH]), PRIOR)
    assert found.score[0, 0] == pytest.approx((30 + STRENGTH / 2) / (30 + STRENGTH))
    assert found.score[1, 0] == pytest.approx(STRENGTH / 2 / (30 + STRENGTH))
    assert found.coverage[0, 0] == pytest.approx(1)


def test_a_head_that_nobody_asked_keeps_its_prior() -> None:
    memory = remember(np.stack([EAST] * 10), np.array([[1.0, np.nan]] * 10))
    found = Retrieval(memory)(EAST[None], np.array([0.5, 0.3], np.float32))
    assert found.score[0, 1] == pytest.approx(0.3)
    assert found.coverage[0].tolist() == pytest.approx([1, 0])


def test_centroids_say_what_their_queries_said() -> None:
    score = np.array([[1.0], [0.0], [1.0], [1.0]])
    vectors = np.stack([EAST] * 4)
    single = Retrieval(remember(vectors, score))(EAST[None], PRIOR)
    shared = Retrieval(remember(vectors, score, np.zeros(4, np.int64)))(EAST[None], PRIOR)
    assert shared.score[0, 0] == pytest.approx(single.score[0, 0])
    assert len(remember(vectors, score, np.zeros(4, np.int64)).vectors) == 1


def test_an_empty_memory_gives_the_prior() -> None:
    found = Retrieval(remember(np.zeros((0, 2), np.float32), np.zeros((0, 1))))(EAST[None], PRIOR)
    assert found.score[0, 0] == pytest.approx(0.5)
    assert (found.coverage == 0).all()


def test_nothing_asked_nothing_said() -> None:
    memory = remember(EAST[None], np.array([[1.0]]))
    assert Retrieval(memory)(np.zeros((0, 2), np.float32), PRIOR).score.shape == (0, 1)


def test_the_nearest_are_those_of_a_full_sort() -> None:
    """Against brute force, in more prompts than are compared together."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    score = (rng.random((300, 2)) < 0.5).astype(np.float64)
    asked = np.concatenate([vectors, vectors[:10]])
    found = Retrieval(remember(vectors, score))(asked, np.array([0.5, 0.4], np.float32))
    cosine = asked @ vectors.T
    order = np.argsort(-cosine, axis=1)[:, :NEIGHBOURS]
    near = np.take_along_axis(cosine, order, axis=1)
    weight = np.maximum(near, 0) ** SHARPNESS
    hits = (weight[:, :, None] * score[order]).sum(axis=1)
    expected = (hits + STRENGTH * np.array([0.5, 0.4])) / (weight.sum(axis=1, keepdims=True) + STRENGTH)
    np.testing.assert_allclose(found.score, expected, atol=1e-5)
    np.testing.assert_allclose(found.likeness, [[row[:n].mean() for n in NEAREST] for row in near], atol=1e-5)
