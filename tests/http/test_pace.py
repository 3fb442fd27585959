"""Time is a term: a slow endpoint loses traffic to a fast one of its price; a deadline is not missed in vain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from gateway.settings import from_tree
from tests.gateway_server import gateway, settings
from tests.http.asking import ask, chat
from tests.upstream_app import Play, Upstream, completion, whole

if TYPE_CHECKING:
    from aiohttp import ClientSession

MODEL = {"name": "cheap", "price": {"input": 1, "output": 1}}
FAST, SLOW = 1_000_000, 1  # tokens of one answer: by these the same time is fast or slow


def answer(tokens: int) -> Play:
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    return whole(completion(usage=usage))


async def test_the_slower_of_two_replicas_is_left_alone() -> None:
    slow, fast, gate = Upstream(), Upstream(), asyncio.Event()
    slow.then(Play([gate, *answer(SLOW).steps]))
    fast.then(answer(FAST))
    async with slow.serving() as first, fast.serving() as second:
        endpoints = [{"name": name, "model": "cheap", "url": url} for name, url in (("a", first), ("b", second))]
        its = from_tree({"version": 1, "models": [MODEL], "endpoints": endpoints}, {}, source="test")
        async with gateway(its) as url, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            held = group.create_task(ask(session, url))
            await slow.reached()
            assert (await ask(session, url)).headers["x-paretogate-endpoint"] == "b"  # it has more slots free
            gate.set()
            await held
            for _ in range(5):
                assert (await ask(session, url)).headers["x-paretogate-endpoint"] == "b"


async def served_by(session: ClientSession, url: str, model: str = "auto", **more: object) -> str:
    return (await ask(session, url, chat(model, **more))).headers["x-paretogate-model"]


async def test_a_deadline_that_the_cheapest_would_miss_is_met_elsewhere() -> None:
    cheap, dear = Upstream(), Upstream()
    cheap.then(answer(SLOW))
    dear.then(answer(FAST))
    prior = {"quality": 0.5, "output_tokens": 1_000_000.0}
    async with cheap.serving() as first, dear.serving() as second:
        its = settings(
            {"cheap": first, "dear": second},
            models={name: {"prior": prior} for name in ("cheap", "dear")},
            routes=[{"name": "auto", "objective": {"tradeoff": 0}, "usd_per_second": 1e-12}],
        )
        async with gateway(its) as url, aiohttp.ClientSession() as session:
            for name in ("cheap", "dear"):
                assert await served_by(session, url, model=name) == name
            assert await served_by(session, url) == "cheap"
            assert await served_by(session, url, routing={"deadline_ms": 20_000}) == "dear"
            assert await served_by(session, url, routing={"deadline_ms": 20_000, "models": ["cheap"]}) == "cheap"
