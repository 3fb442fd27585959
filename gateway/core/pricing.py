"""From tokens and prices to money, in USD (Q, M). `problem.nano_dollars` makes it whole for the solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.domain import TOKENS_PER_PRICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from gateway.domain import Price


@dataclass(frozen=True, slots=True)
class PriceCard:
    """USD per million tokens of M models, each (M,) float64."""

    input: NDArray[np.float64]
    cached_input: NDArray[np.float64]
    output: NDArray[np.float64]

    @classmethod
    def of(cls, prices: Sequence[Price]) -> PriceCard:
        """One column per price, in order."""
        return cls(
            input=np.array([price.input for price in prices], dtype=np.float64),
            cached_input=np.array(
                [price.input if price.cached_input is None else price.cached_input for price in prices],
                dtype=np.float64,
            ),
            output=np.array([price.output for price in prices], dtype=np.float64),
        )


def expected_output(quantiles: ArrayLike, max_tokens: ArrayLike | None = None) -> NDArray[np.float64]:
    """E[min(output, max_tokens)] from quantiles at equally spaced levels.

    Args:
        quantiles: (Q, M, K) tokens; NaN where not known.
        max_tokens: (Q,) or a number; infinite where the client sets no limit, None where none does.

    Returns:
        (Q, M) tokens; what is not known stays NaN.
    """
    clipped = np.asarray(quantiles, dtype=np.float64)
    if max_tokens is not None:
        clipped = np.minimum(clipped, np.asarray(max_tokens, dtype=np.float64).reshape(-1, 1, 1))
    # what .mean() does, without the third of a lone query's price that it takes to get there
    mean: NDArray[np.float64] = np.add.reduce(clipped, axis=2) / clipped.shape[2]
    return mean


def cost_usd(
    prices: PriceCard, input_tokens: ArrayLike, output_tokens: ArrayLike, cached_tokens: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Predicted cost in USD; each argument broadcasts to (Q, M) tokens. Cached tokens are part of the input."""
    inputs = np.asarray(input_tokens, dtype=np.float64)
    if cached_tokens is None:
        spent = inputs * prices.input
    else:
        cached = np.minimum(np.asarray(cached_tokens, dtype=np.float64), inputs)
        spent = (inputs - cached) * prices.input + cached * prices.cached_input
    cost: NDArray[np.float64] = (spent + np.asarray(output_tokens) * prices.output) / TOKENS_PER_PRICE
    return cost
