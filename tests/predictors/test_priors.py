"""What is known before a prompt is seen."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.base import Prompt
from predictors.priors import prior_of
from predictors.training import train
from tests.predictors.pools import made, pool_of

POOL = made(200)


@pytest.mark.parametrize("cell_size", [1, 8])
def test_a_prior_is_the_mean_of_what_happened(cell_size: int) -> None:
    artifact = train([POOL], cell_size=cell_size)
    prior = prior_of(artifact.predictor, artifact.held_out)
    said = prior.predict([Prompt("anything"), Prompt("")])
    np.testing.assert_allclose(said.quality[0], POOL.score.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(said.output_tokens[0], POOL.output_tokens.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(said.cost_usd[0], POOL.cost.mean(axis=0), rtol=1e-3)
    np.testing.assert_array_equal(said.quality[0], said.quality[1])
    weight, told = artifact.held_out.weight, artifact.held_out.quality
    between = [np.sqrt(np.cov(column, aweights=weight, ddof=0)) for column in told.T]
    np.testing.assert_allclose(said.quality_sd[0], np.hypot(between, 0.01), rtol=1e-3)
    assert (said.quality_sd > 0.02).all()
    assert (np.diff(said.output_quantiles, axis=2) >= 0).all()
    assert prior.models == POOL.models


def test_what_was_never_recorded_stays_unknown() -> None:
    artifact = train([pool_of(["a", "b"], [[1], [0]])])
    said = prior_of(artifact.predictor, artifact.held_out).predict([Prompt("x")])
    assert np.isnan(said.cost_usd).all()
    assert np.isnan(said.output_quantiles).all()
    assert 0 < said.quality[0, 0] < 1
