"""From a pool and an artifact to the ground that simulations stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.errors import ConfigurationError
from gateway.lab.evaluate_fit import columns_of, in_order
from gateway.lab.folds import models_of, rows_of
from gateway.lab.methods.case import Case
from gateway.lab.route import make_case
from gateway.lab.simulate.study import Ground
from predictors.hashes import text_hashes

if TYPE_CHECKING:
    from gateway.core.problem import Floats
    from gateway.domain import Objective
    from predictors.artifact import Artifact
    from predictors.pool import Pool

FEWEST: Final = 50  # queries that the artifact has not learned from
INPUT_TOKENS, OUTPUT_TOKENS = 250.0, 300.0  # where neither pool nor artifact counts any


def prepare(pool: Pool, artifact: Artifact, objective: Objective, seed: int) -> tuple[Ground, tuple[str, ...], int]:
    """The ground, its models, and how many queries were left out because the artifact has learned from them.

    Raises:
        ConfigurationError: too few queries are new to the artifact, or no model is known to both.
    """
    column = columns_of(artifact.predictor, pool.models)
    both = np.flatnonzero(column >= 0)
    if not len(both):
        raise ConfigurationError("the artifact knows no model of the pool: train it on a pool of these models")
    answered = np.isfinite(pool.score[:, both]).all(axis=1)
    new = ~np.isin(text_hashes(pool.queries.prompts), artifact.text_hashes)
    rows = np.flatnonzero(answered & new)
    if len(rows) < FEWEST:
        raise ConfigurationError(
            f"{len(rows)} queries that all models answered are new to the artifact; {FEWEST} are needed: "
            "train on some of the pool and simulate with the rest"
        )
    known = models_of(rows_of(pool, rows), both)
    whole, tokens = make_case(artifact, known.queries.prompts, objective, batch_size=1, capacity={}, seed=seed)
    picked = column[both]
    case = Case(
        quality=whole.quality[:, picked],
        quality_sd=whole.quality_sd[:, picked],
        cost=whole.cost[:, picked],
        plain=whole.plain[:, picked],
        sample=in_order(artifact.held_out, picked),
        objective=objective,
        batch_size=1,
        slots=whole.slots[picked],
        seed=seed,
    )
    ground = Ground(
        case=case,
        score=known.score,
        paid=known.cost,
        input_tokens=_counted(known.input_tokens, np.full_like(tokens[:, picked], np.nan), INPUT_TOKENS),
        output_tokens=_counted(known.output_tokens, tokens[:, picked], OUTPUT_TOKENS),
    )
    return ground, known.models, int((answered & ~new).sum())


def _counted(recorded: Floats, predicted: Floats, otherwise: float) -> Floats:
    tokens = np.where(np.isfinite(recorded), recorded, predicted)
    return np.where(np.isfinite(tokens), tokens, otherwise)
