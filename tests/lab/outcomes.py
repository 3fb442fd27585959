"""A made-up pool whose outcomes follow from its texts, and a predictor that reads them as a good one would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.lab.evaluate import Subject
from gateway.lab.evaluate_fit import Fitted
from predictors.base import QUANTILES, HeldOut, Prediction, Prompt
from predictors.hashes import text_hashes
from predictors.pool import Pool, Queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.evaluate_fit import Share

MODELS = ("small", "middle", "large")
COSTS = np.array([0.0001, 0.001, 0.01])
TOPICS = ("towns", "sums", "proofs")
CHANCE = {"towns": (0.9, 0.92, 0.95), "sums": (0.3, 0.85, 0.9), "proofs": (0.05, 0.2, 0.8)}


def made_pool(queries: int = 150, seed: int = 0, models: tuple[str, ...] = MODELS) -> Pool:
    """Queries of three topics; small models know towns, only the large one proves."""
    draw = np.random.default_rng(seed)
    topics = [TOPICS[number % 3] for number in range(queries)]
    texts = tuple(f"{topic} question {seed}-{number} about item {number}" for number, topic in enumerate(topics))
    chance = np.array([CHANCE[topic] for topic in topics])
    cost = COSTS * draw.uniform(0.5, 1.5, size=chance.shape)
    return Pool(
        queries=Queries(
            ids=tuple(str(number) for number in range(queries)),
            texts=texts,
            messages=tuple([{"role": "user", "content": text}] for text in texts),
            tools=(None,) * queries,
            prompts=tuple(Prompt(text) for text in texts),
        ),
        groups=tuple(topics),
        models=models,
        score=(draw.uniform(size=chance.shape) < chance).astype(np.float64),
        cost=cost,
        input_tokens=np.full(chance.shape, 12.0),
        output_tokens=np.rint(cost / COSTS * 100),
        latency=np.full(chance.shape, np.nan),
    )


class Told:
    """Knows each topic's chances, and every model's mean cost."""

    def __init__(self, models: tuple[str, ...] = MODELS) -> None:
        self.models = models
        self.characters_per_token = np.full(len(models), 4.0, dtype=np.float32)

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        quality = np.array([CHANCE.get(prompt.text.split(" ")[0], (0.4, 0.6, 0.8)) for prompt in prompts])
        shape = quality.shape
        return Prediction(
            quality=quality.astype(np.float32),
            quality_sd=np.full(shape, 0.1, dtype=np.float32),
            output_quantiles=np.full((*shape, QUANTILES), 100.0, dtype=np.float32),
            cost_usd=np.tile(COSTS, (len(prompts), 1)),
        )

    def is_quick(self, prompts: int, size: int) -> bool:  # noqa: ARG002 - as a predictor is asked
        return False


def sample_of(pool: Pool) -> HeldOut:
    """What `Told` says of a pool, beside what came of it."""
    said = Told().predict(pool.queries.prompts)
    return HeldOut(
        weight=np.ones(len(pool.score)),
        quality=said.quality,
        quality_sd=said.quality_sd,
        score=pool.score.astype(np.float32),
        input_tokens=pool.input_tokens.astype(np.float32),
        output_tokens=said.output_tokens,
        realised_output_tokens=pool.output_tokens.astype(np.float32),
        cost_usd=said.cost_usd,
        realised_cost_usd=pool.cost,
    )


class Recipe:
    """Trains nothing, and remembers what it was given to train on."""

    def __init__(self, models: tuple[str, ...] = MODELS) -> None:
        self.given: list[frozenset[Prompt]] = []
        self._models = models

    def __call__(self, pool: Pool, tell: Share) -> Fitted:
        tell(0.5)
        self.given.append(frozenset(pool.queries.prompts))
        return Fitted(Told(self._models), sample_of(pool))


def subject(known: Pool | None = None, models: tuple[str, ...] = MODELS) -> tuple[Subject, Recipe]:
    """An artifact that was trained on the texts of `known`, and its recipe."""
    recipe = Recipe(models)
    hashes = np.empty(0, np.uint64) if known is None else np.unique(text_hashes(known.queries.prompts))
    return Subject(Fitted(Told(models), sample_of(made_pool(seed=99))), recipe, hashes), recipe
