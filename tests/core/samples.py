"""Made-up held-out samples: cheap models that fail on hard queries, dear ones that fail less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.curve import Sample

if TYPE_CHECKING:
    from gateway.core.problem import Floats


def sample(seed: int = 0, queries: int = 1_500, models: int = 4, ease: float = 0.0) -> Sample:
    """Calibrated: scores are drawn with the predicted probabilities."""
    draw = np.random.default_rng(seed)
    skill = np.linspace(-0.6, 1.4, models)
    quality = 1 / (1 + np.exp(-(draw.normal(ease, 1.0, (queries, 1)) + skill + draw.normal(0, 0.4, (queries, models)))))
    length = draw.lognormal(0.0, 0.5, (queries, 1))
    return Sample(
        weight=np.ones(queries),
        quality=quality,
        quality_sd=np.full_like(quality, 0.05),
        score=(draw.random(quality.shape) < quality).astype(np.float64),
        cost_usd=length * 1e-4 * 4.0 ** np.arange(models),
    )


def constants(quality: list[float], cost: list[float], queries: int = 20) -> Sample:
    """What an operator's priors give: every query alike, and no scores."""
    shape = (queries, len(quality))
    return Sample(
        weight=np.ones(queries),
        quality=np.broadcast_to(quality, shape).astype(np.float64),
        quality_sd=np.zeros(shape),
        score=np.full(shape, np.nan),
        cost_usd=np.broadcast_to(cost, shape).astype(np.float64),
    )


def chosen(given: Sample, multiplier: Floats | float) -> tuple[Floats, Floats, Floats]:
    """(quality, score, cost) of each query's own best."""
    paid = np.broadcast_to(multiplier, len(given.weight))[:, None] * given.quality
    choice = (given.cost_usd - paid).argmin(axis=1)
    rows = np.arange(len(choice))
    return given.quality[rows, choice], given.score[rows, choice], given.cost_usd[rows, choice]
