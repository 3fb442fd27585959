"""Stand-ins written by hand. Each passes the suite of what it stands in for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.base import QUANTILES, HeldOut, Prediction, Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class FakePredictor:
    """Every text has the quality that its first word names, `0.7 …`; each model adds its own offset."""

    def __init__(self, models: Sequence[str], offsets: Sequence[float], output_tokens: float = 100.0) -> None:
        self.models = tuple(models)
        self.characters_per_token: NDArray[np.float32] = np.full(len(models), 4.0, dtype=np.float32)
        self._offsets = np.array(offsets)
        self._output_tokens = output_tokens
        self.quick = 0  # prompts that it takes no time for
        self.asked: list[Prompt] = []

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        self.asked.extend(prompts)
        quality = np.clip(np.array([[_quality(prompt.text)] for prompt in prompts]) + self._offsets, 0, 1)
        shape = quality.shape
        return Prediction(
            quality=quality.astype(np.float32),
            quality_sd=np.full(shape, 0.1, dtype=np.float32),
            output_quantiles=np.full((*shape, QUANTILES), self._output_tokens, dtype=np.float32),
            cost_usd=np.full(shape, np.nan),
        )

    def is_quick(self, prompts: int, size: int) -> bool:  # noqa: ARG002 - long texts are as good
        return prompts <= self.quick


def _quality(text: str) -> float:
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return float(word) if word.replace(".", "", 1).isdigit() else 0.5


def held_out(predictor: FakePredictor, cells: int = 200, seed: int = 1) -> HeldOut:
    """Outcomes that agree with the predictions on average."""
    rng = np.random.default_rng(seed)
    predicted = predictor.predict([Prompt(f"{level:.3f}") for level in rng.uniform(0.2, 0.8, cells)])
    shape = predicted.quality.shape
    tokens = np.full(shape, 100.0, dtype=np.float32)
    unknown = np.full(shape, np.nan)
    return HeldOut(
        weight=np.ones(cells),
        quality=predicted.quality,
        quality_sd=predicted.quality_sd,
        score=(rng.uniform(size=shape) < predicted.quality).astype(np.float32),
        input_tokens=tokens,
        output_tokens=predicted.output_tokens,
        realised_output_tokens=tokens,
        cost_usd=unknown,
        realised_cost_usd=unknown,
    )
