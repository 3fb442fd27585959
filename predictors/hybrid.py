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
    from predictors.opinions import Opinions
    from predictors.parts import Parts
    from predictors.stack import Stack

    Floats = NDArray[np.float32]


FEW, SHORT = 4, 4_000  # prompts, and bytes of them all: as many take 1.9 ms together, a lone one of 400 bytes .8
SMALL = 2**20  # numbers of a memory that is looked through in .3 ms


def mixed(
    stack: Stack, parts: Parts, opinions: Opinions, tokens: Floats, cost: Floats, *, head: NDArray[np.int64]
) -> Prediction:
    """Estimates from opinions of Q prompts, the (Q, M) deviations of the amounts and the (M,) heads of the models."""
    quality, deviation, home = stack(opinions)
    return Prediction(
        quality=quality.take(head, axis=1),
        quality_sd=deviation.take(head, axis=1),
        output_quantiles=parts.tokens.quantiles(tokens, home),
        cost_usd=parts.cost.mean(cost, home),
    )


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
        features = self.parts.encoder.encode(prompts)
        tokens = self.parts.tokens.deviation(features.inputs)
        cost = self.parts.cost.deviation(features.inputs)
        return mixed(self.stack, self.parts, self.parts.opinions(features), tokens, cost, head=self.head)

    def is_quick(self, prompts: int, size: int) -> bool:
        """Of a few short prompts, where the encoder is light and the memory small."""
        if prompts > FEW or size > SHORT:
            return False
        return self.parts.encoder.light and self.parts.retrieval.memory.vectors.size <= SMALL
