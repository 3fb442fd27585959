"""The held-out sample that an artifact carries: out-of-fold predictions and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.base import HeldOut
from predictors.cells import cells_by_pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from predictors.base import Prediction
    from predictors.history import History

CHARACTERS_PER_TOKEN = 4.0  # of English text, where no pool counts tokens


def characters_per_token(history: History) -> NDArray[np.float32]:
    """(M,) characters of the prompts over the input tokens recorded for them."""
    length = np.array([len(prompt.text) + len(prompt.tools) for prompt in history.prompts], np.float64)
    tokens = history.input_tokens
    known = np.isfinite(tokens) & (tokens > 0) & (length > 0)[:, None]
    characters, total = length @ known, np.where(known, tokens, 0).sum(axis=0)
    common = characters.sum() / total.sum() if total.sum() else CHARACTERS_PER_TOKEN
    ratio: NDArray[np.float64] = np.divide(characters, total, out=np.full(total.shape, common), where=total > 0)
    return ratio.astype(np.float32)


def held_out_sample(history: History, prediction: Prediction, cell_size: int = 1) -> HeldOut:
    """One cell per query that has a score; means of `cell_size` queries or more with nearly equal predictions above 1.

    Args:
        history: Q queries by M models.
        prediction: (Q, M) out-of-fold estimates.
        cell_size: the fewest queries of a cell.
    """
    length = np.array([len(prompt.text) + len(prompt.tools) for prompt in history.prompts], np.float64)
    counted = length[:, None] / characters_per_token(history)
    whole = {
        "quality": prediction.quality,
        "quality_sd": prediction.quality_sd,
        "score": history.score,
        "input_tokens": np.where(np.isnan(history.input_tokens), counted, history.input_tokens),
        "output_tokens": prediction.output_tokens,
        "realised_output_tokens": history.output_tokens,
        "cost_usd": prediction.cost_usd,
        "realised_cost_usd": history.cost,
    }
    rows = np.flatnonzero((~np.isnan(history.score)).any(axis=1))
    tables = {name: np.asarray(table, np.float64)[rows] for name, table in whole.items()}
    weight = np.ones(len(rows))
    if cell_size > 1:
        weight, tables = _means(tables, cell_size)
    small = {name: table.astype(np.float32) for name, table in tables.items()}
    return HeldOut(
        weight=weight,
        quality=small["quality"],
        quality_sd=small["quality_sd"],
        score=small["score"],
        input_tokens=small["input_tokens"],
        output_tokens=small["output_tokens"],
        realised_output_tokens=small["realised_output_tokens"],
        cost_usd=tables["cost_usd"],
        realised_cost_usd=tables["realised_cost_usd"],
    )


def _means(
    tables: dict[str, NDArray[np.float64]], size: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Queries in each cell, and the mean of every table over it. Rows of one cell know the same columns."""
    known = np.concatenate([~np.isnan(table) for table in tables.values()], axis=1)
    cell = cells_by_pattern(tables["quality"], known, size)
    kept = np.flatnonzero(cell >= 0)
    number = int(cell.max(initial=-1)) + 1
    weight = np.bincount(cell[kept], minlength=number).astype(np.float64)
    means = {}
    for name, table in tables.items():
        total = np.zeros((number, table.shape[1]))
        np.add.at(total, cell[kept], table[kept])
        means[name] = total / weight[:, None]
    return weight, means
