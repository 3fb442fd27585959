"""What each model would make of each query, and at what price: the arrays that a decision works on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Source(StrEnum):
    """Where an estimate comes from."""

    NONE = "none"  # not looked at yet
    PREDICTED = "predicted"
    PRIOR = "prior"  # no predictor is configured, or it was late or failed


class Expected(msgspec.Struct, frozen=True):
    """One query on the model that was chosen for it."""

    quality: float  # 0..1, as far as feedback has corrected it
    cost_usd: float
    input_tokens: float
    output_tokens: float

    @property
    def tokens(self) -> float:
        """Input and output: what a lease holds."""
        return self.input_tokens + self.output_tokens


class Estimate(msgspec.Struct, frozen=True):
    """One query on M models.

    Args:
        quality: (M,) expected score, 0..1.
        quality_sd: (M,) its standard deviation.
        input_tokens: (M,) in each model's own tokens.
        output_tokens: (M,) expected, clipped by the client's limit.
        cost_usd: (M,) expected.
        source: where it comes from.
    """

    quality: NDArray[np.float64]
    quality_sd: NDArray[np.float64]
    input_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    cost_usd: NDArray[np.float64]
    source: Source

    @property
    def tokens(self) -> NDArray[np.float64]:
        """(M,) input and expected output: what a lease holds."""
        return self.input_tokens + self.output_tokens

    def at(self, column: int, bias: float = 0.0) -> Expected:
        """Of one model, with the bias that feedback has shown."""
        return Expected(
            quality=min(1.0, max(0.0, self.quality.item(column) + bias)),
            cost_usd=self.cost_usd.item(column),
            input_tokens=self.input_tokens.item(column),
            output_tokens=self.output_tokens.item(column),
        )


class Rivals(msgspec.Struct, frozen=True):
    """What one query was predicted to cost, in USD, where other rules would have sent it."""

    cheapest: float
    best: float  # of the highest quality
    alone: float  # at the one that it would choose if it were by itself


NOTHING = Expected(0.0, 0.0, 0.0, 0.0)
_NONE = np.zeros(0)
UNKNOWN = Estimate(_NONE, _NONE, _NONE, _NONE, _NONE, Source.NONE)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Q estimates stacked: every field (Q, M)."""

    quality: NDArray[np.float64]
    quality_sd: NDArray[np.float64]
    input_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    cost_usd: NDArray[np.float64]

    @property
    def tokens(self) -> NDArray[np.float64]:
        """Input and expected output: what leases hold."""
        return self.input_tokens + self.output_tokens

    def rivals(self, models: NDArray[np.bool_], multiplier: Sequence[float]) -> list[Rivals]:
        """Of each query among its (Q, M) models, at its price for one unit of quality in USD. Of equals the first."""
        cost = np.where(models, self.cost_usd, np.inf)
        best = np.where(models, self.quality, -np.inf).argmax(axis=1)
        alone = (cost - np.array(multiplier)[:, None] * self.quality).argmin(axis=1)
        first = np.arange(0, cost.size, cost.shape[1])  # of each row, in all cells
        chosen = cost.take(np.array([cost.argmin(axis=1), best, alone]).T + first[:, None])
        return [Rivals(*each) for each in chosen.tolist()]

    @classmethod
    def stack(cls, estimates: Sequence[Estimate]) -> Estimates:
        """In the order given."""
        rows = [
            (each.quality, each.quality_sd, each.input_tokens, each.output_tokens, each.cost_usd) for each in estimates
        ]
        if len(rows) == 1:
            return cls(*[field[None] for field in rows[0]])  # not copied
        return cls(*[np.array(field) for field in zip(*rows, strict=True)])
