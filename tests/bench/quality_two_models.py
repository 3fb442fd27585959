"""RouteLLM's figures on its own two models, learned from few labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.lab.baselines import BLEND, LOGISTIC, PAIR, Labelled, predict_baselines
from gateway.lab.evaluate_fit import columns_of
from gateway.lab.folds import rows_of
from gateway.lab.two_models import two_models
from predictors.hashes import text_hashes
from predictors.pool import read_pool
from predictors.training import train
from tests.bench.quality_rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.lab.frontier import Floats
    from gateway.lab.two_models import TwoModels
    from predictors.pool import Pool

LABELS, DRAWS = 1_500, 5
OURS = "ours"


def two_model_rows(path: Path, *, seed: int, tell: Callable[[str], None]) -> list[Row]:
    """APGR, CPT50 and CPT80 of ours and the baselines, means over draws of 1,500 labels; the rest is asked."""
    pool = read_pool(path)
    strong = int(np.nanmean(pool.score, axis=0).argmax())
    found: dict[str, list[TwoModels]] = {}
    for draw in range(DRAWS):
        tell(f"{path.stem}: draw {draw + 1} of {DRAWS}")
        for name, each in _draw(pool, strong, seed + draw).items():
            found.setdefault(name, []).append(each)
    rows = []
    for name, draws in found.items():
        for figure in ("apgr", "cpt50", "cpt80"):
            values = np.array([getattr(each, figure) for each in draws])
            mean, spread = float(values.mean()), float(values.std())
            target, met = (">= 0.65", mean >= 0.65) if (name, figure) == (OURS, "apgr") else ("reported", None)
            rows.append(Row(f"{figure.upper()} of {name}", path.stem, mean, mean - spread, mean + spread, target, met))
    return rows


def _draw(pool: Pool, strong: int, seed: int) -> dict[str, TwoModels]:
    hashes = text_hashes(pool.queries.prompts)
    known = np.sort(np.random.default_rng(seed).permutation(len(hashes))[:LABELS])
    rest = np.flatnonzero(~np.isin(hashes, hashes[known]))
    taught, asked = rows_of(pool, known), rows_of(pool, rest)
    texts = [prompt.text for prompt in asked.queries.prompts]
    labelled = Labelled([prompt.text for prompt in taught.queries.prompts], taught.groups, taught.score)
    learned = predict_baselines(labelled, texts)
    made = train([taught], seed=seed).predictor
    quality: dict[str, Floats] = {
        OURS: made.predict(asked.queries.prompts).quality[:, columns_of(made, pool.models)].astype(np.float64),
        **{name: learned[name] for name in (LOGISTIC, PAIR, BLEND)},
    }
    weak = 1 - strong
    return {
        name: two_models(each[:, strong] - each[:, weak], asked.score[:, weak], asked.score[:, strong])
        for name, each in quality.items()
    }
