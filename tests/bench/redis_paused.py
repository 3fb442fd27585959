"""Redis stops answering for half a minute, under load: what do clients notice?

    python -m tests.bench.redis_paused --seconds 30

Two gateway processes on one Redis that is stopped (SIGSTOP) and goes on (SIGCONT). Queries come at random moments, at
less than the half of what the endpoints can take: half of them pinned, half to a route with a promise, all with a key
that has a rate. So leases, promises and allowances all stand on the Redis that is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import uvloop

from tests.bench.clients import Callers, arrivals, request
from tests.bench.figures import Figure, conclude, p99_ms, share_of
from tests.faults.stage import PATIENT, STEADY, Stage, fleet, gateway, replaying, until
from tests.redis_server import RedisServer

MODEL, TOKEN = "cheap", "pg-bench"
RATE = 60.0  # queries a second
BEFORE_S, AFTER_S = 15.0, 5.0
ANSWER_S = 0.05
SPEED = 1.45 / ANSWER_S


@dataclass
class Seen:
    """What clients saw, by when they asked."""

    took: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    ends: Counter[str] = field(default_factory=Counter)

    def between(self, start: float, end: float) -> list[float]:
        return [seconds for at, seconds in self.took if start <= at < end]


async def crowd(callers: list[Callers], seconds: float, seen: Seen) -> None:
    rng = random.Random(3)
    asks = [request(model, stream=stream, key=TOKEN) for model in (MODEL, f"or-{MODEL}") for stream in (False, True)]

    async def one(at: float) -> None:
        try:
            answer = await rng.choice(callers).ask(rng.choice(asks))
        except ConnectionError:
            seen.ends["no connection"] += 1
            return
        seen.ends[answer.code] += 1
        seen.took.append((at, answer.total_s))

    async with asyncio.TaskGroup() as group:
        async for at in arrivals(RATE, seconds, rng):
            group.create_task(one(at))


async def shared(callers: list[Callers]) -> bool:
    return all(["paretogate_load_shared 1.0" in await each.metrics() for each in callers])


async def pause(callers: list[Callers], server: RedisServer, seconds: float, started: float) -> tuple[float, ...]:
    """When it was stopped, when it went on, and when the view was shared again."""
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(BEFORE_S)
    server.pause()
    paused = clock() - started
    await asyncio.sleep(seconds)
    server.resume()
    resumed = clock() - started
    await until(lambda: shared(callers), within=30)
    return paused, resumed, clock() - started


async def measure(stages: list[Stage], server: RedisServer, asked: argparse.Namespace) -> list[Figure]:
    loop, seen = asyncio.get_running_loop(), Seen()
    callers = [Callers(stage.url, TOKEN) for stage in stages]
    await crowd(callers, 5.0, Seen())  # connections are opened, code is loaded
    async with asyncio.TaskGroup() as group:
        started = loop.time()
        group.create_task(crowd(callers, asked.pauses * (BEFORE_S + asked.seconds) + AFTER_S, seen))
        pauses = [await pause(callers, server, asked.seconds, started) for _ in range(asked.pauses)]
    held = [await stage.idle() for stage in stages]
    for stage in stages:
        stage.faultless()

    def gathered(spans: list[tuple[float, float]]) -> list[float]:
        return [seconds for start, end in spans for seconds in seen.between(start, end)]

    usual = gathered([(paused - BEFORE_S + AFTER_S, paused - 0.2) for paused, _, _ in pauses])
    first = gathered([(paused, paused + 1) for paused, _, _ in pauses])
    later = gathered([(paused + 1, resumed) for paused, resumed, _ in pauses])
    after = gathered([(resumed, back) for _, resumed, back in pauses])
    before = p99_ms(usual)
    return [
        Figure("queries", sum(seen.ends.values())),
        Figure("failed", sum(seen.ends.values()) - seen.ends["answered"], at_most=0),
        Figure("before: p50", 1e3 * share_of(usual, 0.5), "ms"),
        Figure("before: p99", before, "ms"),
        Figure("first second: queries", len(first)),
        Figure("first second: p99", p99_ms(first), "ms"),
        Figure("first second: added to p99", p99_ms(first) - before, "ms", at_most=60),
        Figure("first second: the slowest", 1e3 * max(first), "ms"),
        Figure("from then on: p50", 1e3 * share_of(later, 0.5), "ms"),
        Figure("from then on: p99", p99_ms(later), "ms"),
        Figure("from then on: added to p99", p99_ms(later) - before, "ms", at_most=5),
        Figure("after it went on: p99", p99_ms(after), "ms"),
        Figure("shared again after, at most", max(back - resumed for _, resumed, back in pauses), "s", at_most=2),
        Figure("leases left", sum(held), at_most=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="for which Redis is stopped, each time")
    parser.add_argument("--pauses", type=int, default=3, help="how often: each has a first second of some 60 queries")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        upstream = stack.enter_context(replaying(folder, [MODEL], speed=SPEED))
        each = {"capacity": {"concurrency": 16}, "timeout": PATIENT}
        key = {
            "name": "shop",
            "hash": f"sha256:{sha256(TOKEN.encode()).hexdigest()}",
            "admin": True,  # so that the bench may read the metrics
            "requests_per_minute": 1_000_000,
            "budget": {"usd": 1000, "per": "month"},
        }
        route = {"name": f"or-{MODEL}", "models": [MODEL, STEADY], "objective": {"min_quality": 0.6}}
        tree = fleet(upstream, [MODEL], each=each, load={"redis": server.url}, keys=[key])
        tree["endpoints"][0] |= each
        tree["routes"] = [route]
        stages = [stack.enter_context(gateway(folder, tree, upstream, token=TOKEN)) for _ in range(2)]
        figures = uvloop.run(measure(stages, server, asked))
    conclude(figures)


if __name__ == "__main__":
    main()
