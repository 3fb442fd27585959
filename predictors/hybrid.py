"""The default predictor: the calibrated stack of the parts, as arrays per model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictors.base import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from predictors.base import Prompt
    from predictors.encoder import Features
    from predictors.parts import Parts
    from predictors.stack import Stack


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Fitted parts and the stack over them.

    Args:
        parts: with one column per head.
        stack: likewise.
        names: M models.
        head: (M,) the head of each.
        ratio: (M,) characters per token.
    """

    parts: Parts
    stack: Stack
    names: tuple[str, ...]
    head: NDArray[np.int64]
    ratio: NDArray[np.float32]

    @property
    def models(self) -> tuple[str, ...]:
        """The M columns of a Prediction, in order."""
        return self.names

    @property
    def characters_per_token(self) -> NDArray[np.float32]:
        """(M,) fitted ratio of characters to input tokens."""
        return self.ratio

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        """Estimates for every prompt and model."""
        return self.judge(self.parts.encoder.encode(prompts))

    def judge(self, features: Features) -> Prediction:
        """Estimates for prompts that are encoded already."""
        quality, deviation = self.stack(self.parts.opinions(features))
        return Prediction(
            quality=quality[:, self.head],
            quality_sd=deviation[:, self.head],
            output_quantiles=self.parts.tokens.quantiles(features.inputs),
            cost_usd=self.parts.cost.mean(features.inputs),
        )
