"""Small histories whose right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from predictors.pool import Pool, Queries
from predictors.prompt import render

SUMS = "What is {} plus {}?"
VERSES = "Write a short poem about the colour of the sea number {} near {}."


def texts(count: int) -> list[str]:
    """Sums and verses, in turn."""
    return [(SUMS if number % 2 else VERSES).format(number, number * 7) for number in range(count)]


def pool(asked: list[str], score: Any, models: tuple[str, ...] = ("small", "large")) -> Pool:  # noqa: ANN401 - array-like
    """(Q, M) scores of those texts; tokens and costs that grow with the model."""
    table = np.asarray(score, np.float64).reshape(len(asked), len(models))
    messages = tuple([{"role": "user", "content": text}] for text in asked)
    queries = Queries(
        ids=tuple(str(number) for number in range(len(asked))),
        texts=tuple(asked),
        messages=messages,
        tools=(None,) * len(asked),
        prompts=tuple(render(each) for each in messages),
    )
    amounts = np.broadcast_to(np.arange(1.0, len(models) + 1), table.shape)
    return Pool(queries, ("",) * len(asked), models, table, amounts / 1e3, amounts * 20, amounts * 100, amounts)


def two_kinds(count: int) -> Pool:
    """The small model can do sums and nothing else; the large one can do all."""
    return pool(texts(count), [[number % 2, 1] for number in range(count)])
