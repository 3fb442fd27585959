"""Intervals that hold what they should."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from gateway.lab import bootstrap, frontier


def one_model(score: list[float]) -> frontier.Realised:
    table = np.array(score)[:, None]
    only = np.zeros(len(score), dtype=np.int64)
    return frontier.Realised(table, np.ones_like(table), only, only)


def test_a_draw_keeps_the_number_of_queries() -> None:
    weight = bootstrap.draws(30, 7)
    assert weight.shape == (7, 30)
    assert weight.sum(axis=1) == pytest.approx(1.0)


def test_the_interval_of_a_mean_is_its_standard_error() -> None:
    score = np.random.default_rng(1).integers(0, 2, 400).astype(float).tolist()
    realised = one_model(score)
    drawn = bootstrap.redraw(*realised.picked(realised.best[None]), realised, bootstrap.draws(400))
    found = bootstrap.interval(float(np.mean(score)), drawn.success[:, 0])
    assert found.error == pytest.approx(0.5 / 20, rel=0.1)
    assert found.low < found.value < found.high


def test_even_weights_give_the_figures_themselves() -> None:
    draw = np.random.default_rng(2)
    quality, cost = draw.uniform(size=(2, 50, 3))
    score = np.round(draw.uniform(size=(50, 3)))
    score[::4, 1] = np.nan
    realised = frontier.Realised(score, cost, np.zeros(50, dtype=np.int64), np.ones(50, dtype=np.int64))
    choice = frontier.sweep(quality, cost, realised)
    redrawn = bootstrap.redraw(*realised.picked(choice), realised, np.full((1, 50), 1 / 50))
    (summary,) = redrawn.summaries(redrawn.hulls())
    assert astuple(summary) == pytest.approx(astuple(frontier.summary_of(choice, realised)))


def test_nothing_drawn_is_no_interval() -> None:
    assert np.isnan(bootstrap.interval(0.5, np.array([np.nan])).low)
