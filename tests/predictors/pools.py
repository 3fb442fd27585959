"""Small made-up pools: three kinds of task, models that are good at one kind or all, lengths that the text decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.pool import Pool, Queries
from predictors.prompt import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SENTENCES = {
    "sums": "add the numbers total apples price minutes how many left each more than twice",
    "code": "def return list function assert value loop string index python write call print",
    "prose": "who wrote which king river novel island capital year famous war painter born",
}
WORDS = {group: tuple(sentence.split()) for group, sentence in SENTENCES.items()}
GROUPS = tuple(WORDS)
MODELS = ("small", "coder", "large")
SKILL = {"small": (0.6, 0.2, 0.3), "coder": (0.3, 0.95, 0.2), "large": (0.95, 0.8, 0.9)}  # by group
PRICE = {"small": 1e-5, "coder": 2e-5, "large": 1e-3}  # USD per token


def queries(texts: Sequence[str], ids: Sequence[str] | None = None, tools: Sequence[Any] | None = None) -> Queries:
    """As if read from a file."""
    messages = tuple([{"role": "user", "content": text}] for text in texts)
    offered = tuple(tools) if tools is not None else (None,) * len(texts)
    prompts = tuple(render(each, tool) for each, tool in zip(messages, offered, strict=True))
    names = tuple(ids) if ids is not None else tuple(f"q{row}" for row in range(len(texts)))
    return Queries(names, tuple(texts), messages, offered, prompts)


def made(count: int = 240, *, seed: int = 0, grouped: bool = True, models: Sequence[str] = MODELS) -> Pool:
    """A pool of so many queries; every model answers every one."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, len(GROUPS), count)
    texts = [sentence(GROUPS[each], rng) for each in kind]
    skill = np.array([SKILL[name] for name in MODELS]).T[kind][:, : len(models)]
    score = (rng.random(skill.shape) < skill).astype(np.float64)
    words = np.array([len(text.split()) for text in texts], np.float64)
    output = np.rint(4 * words[:, None] * rng.lognormal(0, 0.2, skill.shape)) + 1
    price = np.array([PRICE[name] for name in MODELS[: len(models)]])
    return Pool(
        queries=queries(texts),
        groups=tuple(GROUPS[each] if grouped else "" for each in kind),
        models=tuple(models),
        score=score,
        cost=output * price,
        input_tokens=np.repeat(np.array([[len(text) / 5] for text in texts]), len(models), axis=1),
        output_tokens=output,
        latency=np.full(skill.shape, np.nan),
    )


def sentence(group: str, rng: np.random.Generator) -> str:
    """Words of one kind of task, with a number so that texts differ."""
    words = rng.choice(WORDS[group], int(rng.integers(6, 30)))
    return " ".join([*words, str(rng.integers(0, 10**6))])


def pool_of(
    texts: Sequence[str],
    score: Sequence[Sequence[float]],
    models: Sequence[str] = ("m",),
    cost: NDArray[np.float64] | None = None,
    groups: Sequence[str] | None = None,
) -> Pool:
    """A pool from texts and a (Q, M) table of scores; neither tokens nor latency are recorded."""
    table = np.array(score, np.float64).reshape(len(texts), len(models))
    blank = np.full(table.shape, np.nan)
    return Pool(
        queries=queries(texts),
        groups=("",) * len(texts) if groups is None else tuple(groups),
        models=tuple(models),
        score=table,
        cost=blank if cost is None else cost,
        input_tokens=blank,
        output_tokens=blank,
        latency=blank,
    )
