"""Demonstration endpoints: what `paretogate serve` starts when it finds no real ones. Made up, and saying so."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from gateway.lab.demo_rule import MODELS
from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_pace import Pace
from predictors.pool import read_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from predictors.pool import Pool

LABEL = "[demonstration endpoint] {model} is made up and only says words: "
UNKNOWN = 40  # tokens of an answer to a question that is not bundled: made-up words are no pleasure to read
SPEED = 10.0  # quick enough for a first look, slow enough to see a stream come in
PRIOR_STRENGTH = 20.0  # of queries: the configuration's own default


def demo_pool() -> Pool:
    """The bundled questions and their synthetic outcomes."""
    with as_file(files("gateway.lab") / "demo_pool.jsonl") as path:
        return read_pool(path)


@asynccontextmanager
async def demo_endpoints(*, speed: float = SPEED) -> AsyncIterator[dict[str, list[dict[str, Any]]]]:
    """Serves the made-up models on a free loopback port until the block ends.

    Gives `models` and `endpoints` in the shape of the configuration file. Every question is answered, not only the
    bundled ones.
    """
    replay = Replay(PoolAnswers(demo_pool(), label=LABEL, unknown=UNKNOWN), pace=Pace(speed=speed))
    async with serving(replay) as url:
        yield configuration(url)


def configuration(url: str) -> dict[str, list[dict[str, Any]]]:
    """The made-up models, behind a replay upstream at `url`."""
    models = [
        {
            "name": model.name,
            "price": {"input": model.price.input, "output": model.price.output},
            "prior": {"quality": model.prior, "strength": PRIOR_STRENGTH},
            "like": model.like,
        }
        for model in MODELS
    ]
    endpoints = [
        {
            "name": f"demonstration-{model.name.removeprefix('demo-')}",
            "model": model.name,
            "url": endpoint_url(url, model.name),
            "capacity": {"concurrency": model.concurrency},
        }
        for model in MODELS
    ]
    return {"models": models, "endpoints": endpoints}
