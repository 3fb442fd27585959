"""Assigns a file of queries with the code that assigns live ones. Outcomes in the file are never read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.capacity import UNLIMITED
from gateway.errors import ConfigurationError
from gateway.lab import evaluate_fit
from gateway.lab.methods import METHODS
from gateway.lab.methods.case import Case
from gateway.lab.methods.file import assign_file
from gateway.lab.methods.plugin import plain_neighbours
from predictors.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.core.problem import Floats, Ints
    from gateway.domain import Objective
    from predictors.artifact import Artifact
    from predictors.base import Predictor, Prompt

AT_ONCE: Final = 256  # queries predicted together: bounds the memory


def slots_of(capacity: Mapping[str, int], models: Sequence[str]) -> Ints:
    """(M,) queries of one batch that each model takes.

    Raises:
        ConfigurationError: a name is not a model of the artifact.
    """
    for name in capacity:
        if name not in models:
            near = ", ".join(nearest(name, models)) or ", ".join(models[:5])
            raise ConfigurationError(f"--capacity {name}: the artifact knows no such model; near it: {near}")
    return np.array([capacity.get(name, UNLIMITED) for name in models], dtype=np.int64)


def make_case(
    artifact: Artifact,
    prompts: Sequence[Prompt],
    objective: Objective,
    *,
    batch_size: int,
    capacity: Mapping[str, int],
    seed: int = 0,
    in_order: bool = False,
) -> tuple[Case, Floats]:
    """The case of a file, and the (N, M) expected output tokens, NaN where not known.

    Raises:
        ConfigurationError: there is nothing to choose from, or the artifact lacks what a choice rests on.
    """
    predictor = artifact.predictor
    slots = slots_of(capacity, predictor.models)
    if not len(artifact.held_out.weight):
        raise ConfigurationError(
            "the artifact has no held-out sample, so no promise can be read from it: train it on more"
        )
    quality, deviation, cost, tokens = _predict(predictor, prompts)
    if len(prompts) and not np.isfinite(cost).any():
        raise ConfigurationError("the artifact knows no cost of any model: train it on pools with cost:<model> columns")
    plain = plain_neighbours(predictor, prompts)
    case = Case(
        quality=quality,
        quality_sd=deviation,
        cost=cost,
        plain=quality if plain is None else plain,
        sample=evaluate_fit.in_order(artifact.held_out, np.arange(len(predictor.models))),
        objective=objective,
        batch_size=batch_size,
        slots=slots,
        seed=seed,
        in_order=in_order,
    )
    return case, tokens


def route(case: Case, method: str, tick: Callable[[int], None]) -> Ints:
    """(N,) the model of each query, by the named method.

    Raises:
        ConfigurationError: some query can never be placed.
    """
    if not len(case.cost):
        return np.empty(0, dtype=np.int64)
    return assign_file(case, METHODS[method](case), tick)


def columns(
    ids: Sequence[str], models: Sequence[str], case: Case, tokens: Floats, choice: Ints
) -> dict[str, list[object]]:
    """The table to write: one row per query, in file order."""
    rows = np.arange(len(choice))
    picked = {
        "predicted_quality": case.quality[rows, choice],
        "predicted_cost_usd": case.cost[rows, choice],
        "predicted_output_tokens": tokens[rows, choice],
    }
    table: dict[str, list[object]] = {"query_id": list(ids), "model": [models[column] for column in choice]}
    for name, values in picked.items():
        table[name] = [None if np.isnan(value) else float(value) for value in values]
    return table


def _predict(predictor: Predictor, prompts: Sequence[Prompt]) -> tuple[Floats, Floats, Floats, Floats]:
    """(N, M) each: quality, its standard deviation, cost in USD, output tokens."""
    tables = [predictor.predict(prompts[start : start + AT_ONCE]) for start in range(0, max(1, len(prompts)), AT_ONCE)]
    return (
        np.concatenate([table.quality for table in tables]).astype(np.float64),
        np.concatenate([table.quality_sd for table in tables]).astype(np.float64),
        np.concatenate([table.cost_usd for table in tables]),
        np.concatenate([table.output_tokens for table in tables]).astype(np.float64),
    )
