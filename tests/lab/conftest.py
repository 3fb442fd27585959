"""A small pool of our own, and a replay upstream over it on a real socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_pace import Pace
from predictors.pool import Pool, read_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SMALL, LARGE = "tiny/one", "large"
AT_ONCE = Pace(speed=float("inf"))


def row(number: int, text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """A pool's row: the small model scores on even numbers, the large one always."""
    return {
        "query_id": f"q{number}",
        "text": text,
        f"score:{SMALL}": float(number % 2 == 0),
        f"score:{LARGE}": 1.0,
        f"cost:{SMALL}": 0.001,
        f"cost:{LARGE}": 0.01,
        f"in:{SMALL}": 11,
        f"out:{SMALL}": 30,
        f"in:{LARGE}": 12,
        f"out:{LARGE}": 90,
        **more,
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Ten queries: plain, with messages, and one that only one model answered."""
    plain = [row(number, f"How much is {number} and {number}?") for number in range(8)]
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And then?"}]
    sparse: dict[str, Any] = {f"score:{SMALL}": None, f"out:{SMALL}": None}
    return [*plain, row(8, "And then?", messages=json.dumps(told)), row(9, "Who knows?", **sparse)]


@pytest.fixture
def pool_file(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in rows), encoding="utf-8")
    return path


@pytest.fixture
def pool(pool_file: Path) -> Pool:
    return read_pool(pool_file)


@pytest.fixture
def replay(pool: Pool) -> Replay:
    """Answers at once; no limits."""
    return Replay(PoolAnswers(pool), pace=AT_ONCE)


@pytest.fixture
async def base(replay: Replay) -> AsyncIterator[str]:
    """The URL of the running upstream."""
    async with serving(replay) as url:
        yield url


@pytest.fixture
async def small(base: str) -> str:
    """What an OpenAI client takes as `base_url` for the small model."""
    return endpoint_url(base, SMALL)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened
