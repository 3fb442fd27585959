"""What is known of each model before a prompt is seen: the fallback when nothing better answers in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.base import QUANTILES, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from predictors.base import HeldOut, Predictor, Prompt


@dataclass(frozen=True, slots=True)
class PriorPredictor:
    """The same estimate for every prompt, in microseconds.

    Args:
        names: M models.
        ratio: (M,) characters per token.
        quality, quality_sd: (M,) float32.
        output_quantiles: (M, QUANTILES) float32.
        cost_usd: (M,) float64.
    """

    names: tuple[str, ...]
    ratio: NDArray[np.float32]
    quality: NDArray[np.float32]
    quality_sd: NDArray[np.float32]
    output_quantiles: NDArray[np.float32]
    cost_usd: NDArray[np.float64]

    @property
    def models(self) -> tuple[str, ...]:
        """The M columns of a Prediction, in order."""
        return self.names

    @property
    def characters_per_token(self) -> NDArray[np.float32]:
        """(M,) fitted ratio of characters to input tokens."""
        return self.ratio

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        """The same row for every prompt. The arrays are views: not to be written to."""
        rows = len(prompts)
        models = len(self.names)
        return Prediction(
            np.broadcast_to(self.quality, (rows, models)),
            np.broadcast_to(self.quality_sd, (rows, models)),
            np.broadcast_to(self.output_quantiles, (rows, models, QUANTILES)),
            np.broadcast_to(self.cost_usd, (rows, models)),
        )

    def is_quick(self, prompts: int, size: int) -> bool:  # noqa: ARG002 - it is, whatever is asked
        """It looks at nothing."""
        return True


def prior_of(predictor: Predictor, held_out: HeldOut) -> PriorPredictor:
    """Means over the held-out sample: realised where that is known, predicted elsewhere.

    The sd is that of the predicted quality between queries: how wrong one number for all of them is. Output quantiles
    are those of the predicted means, for a sample does not hold single answers.
    """
    weight = held_out.weight[:, None]
    quality = _mean(np.where(np.isnan(held_out.score), held_out.quality, held_out.score), weight)
    around = np.sqrt(_mean((held_out.quality - _mean(held_out.quality, weight)) ** 2, weight) + 1e-4)
    tokens = np.where(
        np.isnan(held_out.realised_output_tokens), held_out.output_tokens, held_out.realised_output_tokens
    )
    cost = np.where(np.isnan(held_out.realised_cost_usd), held_out.cost_usd, held_out.realised_cost_usd)
    return PriorPredictor(
        names=predictor.models,
        ratio=predictor.characters_per_token,
        quality=quality.astype(np.float32),
        quality_sd=around.astype(np.float32),
        output_quantiles=_eighths(tokens, held_out.weight),
        cost_usd=_mean(cost, weight),
    )


def _mean(table: NDArray[np.floating], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) weighted mean of what is known; NaN where nothing is."""
    known = ~np.isnan(table)
    total = np.where(known, table * weight, 0).sum(axis=0)
    count = (known * weight).sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def _eighths(tokens: NDArray[np.floating], weight: NDArray[np.float64]) -> NDArray[np.float32]:
    """(M, QUANTILES) weighted quantiles, moved to keep the mean; NaN where nothing is known."""
    found = np.full((tokens.shape[1], QUANTILES), np.nan, np.float32)
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    for model in range(tokens.shape[1]):
        rows = np.flatnonzero(~np.isnan(tokens[:, model]))
        if not rows.size:
            continue
        rows = rows[np.argsort(tokens[rows, model], kind="stable")]
        share = np.cumsum(weight[rows]) - weight[rows] / 2
        values = np.interp(levels, share / weight[rows].sum(), tokens[rows, model])
        mean = float(np.average(tokens[rows, model], weights=weight[rows]))
        found[model] = values * (mean / max(float(values.mean()), 1e-9))
    return found
