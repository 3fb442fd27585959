"""What a predictor takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUANTILES = 8  # levels (k + 1/2)/8: their plain mean is the mean of the distribution, and clipping each clips it


@dataclass(frozen=True, slots=True)
class Prompt:
    """The scored text of one query: the conversation as one string, and the tools as JSON ("" for none)."""

    text: str
    tools: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Estimates for Q prompts by M models.

    Args:
        quality: (Q, M) float32, expected score, 0..1.
        quality_sd: (Q, M) float32, standard deviation of that estimate (of the expected score, not of the outcome).
        output_quantiles: (Q, M, QUANTILES) float32, output tokens, ascending; NaN where no history has tokens.
        cost_usd: (Q, M) float64, learned from recorded costs; NaN where none were recorded.
    """

    quality: NDArray[np.float32]
    quality_sd: NDArray[np.float32]
    output_quantiles: NDArray[np.float32]
    cost_usd: NDArray[np.float64]

    @property
    def output_tokens(self) -> NDArray[np.float32]:
        """(Q, M) expected output tokens."""
        mean: NDArray[np.float32] = self.output_quantiles.mean(axis=2, dtype=np.float32)
        return mean


class Predictor(Protocol):
    """Scores prompts. Safe to call from one thread at a time; deterministic; prompts are never kept."""

    @property
    def models(self) -> tuple[str, ...]:
        """The M columns of a Prediction, in order."""

    @property
    def characters_per_token(self) -> NDArray[np.float32]:
        """(M,) fitted ratio, for counting input tokens of a model whose tokenizer is not known."""

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        """Estimates for every prompt and model. Any text is legal: empty, long, binary, any language."""

    def is_quick(self, prompts: int, size: int) -> bool:
        """Whether so many prompts of so many bytes in all take it a millisecond or two: too little to wake a thread."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """N cells of out-of-fold predictions for M models and what came of them. Numbers only, no text.

    A cell is one query, or the mean of several with nearly equal predictions where an artifact is to be shared.

    Args:
        weight: (N,) float64, queries in the cell.
        quality: (N, M) float32, predicted.
        quality_sd: (N, M) float32, predicted.
        score: (N, M) float32, realised; NaN where the model did not answer.
        input_tokens: (N, M) float32.
        output_tokens: (N, M) float32, predicted mean; NaN where no history has tokens.
        realised_output_tokens: (N, M) float32, NaN where not recorded.
        cost_usd: (N, M) float64, predicted; NaN where none were recorded.
        realised_cost_usd: (N, M) float64, NaN where not recorded.
    """

    weight: NDArray[np.float64]
    quality: NDArray[np.float32]
    quality_sd: NDArray[np.float32]
    score: NDArray[np.float32]
    input_tokens: NDArray[np.float32]
    output_tokens: NDArray[np.float32]
    realised_output_tokens: NDArray[np.float32]
    cost_usd: NDArray[np.float64]
    realised_cost_usd: NDArray[np.float64]
