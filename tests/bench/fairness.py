"""One key sends twenty times what the others send: how much longer do they wait?

    python -m tests.bench.fairness --seconds 40

A real gateway process and an upstream whose answers take equally long. The others are four keys that together would use
half the capacity, at random moments; first alone, then beside a greedy key that sends twenty times as much as all of
them together, ten times what the endpoint can take. A wait is what an answer took less its time at the upstream.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path

import uvloop

from tests.bench.clients import Callers, arrivals, request
from tests.bench.figures import Figure, conclude, share_of
from tests.faults.stage import PATIENT, Stage, fleet, gateway, replaying

MODEL = "wanted"
SLOTS, SERVICE_S = 8, 0.8
SPEED = 1.45 / SERVICE_S
MODEST, GREEDY = ("a", "b", "c", "d"), "greedy"
CAPACITY = SLOTS / SERVICE_S  # queries a second
TIMES = 20.0
LEAST = 100  # waits of which a p99 can be told


async def crowd(
    callers: Callers, rates: dict[str, float], seconds: float
) -> tuple[dict[str, list[float]], Counter[str]]:
    """Waits of those who were served, in seconds by key, and how queries ended."""
    waits: dict[str, list[float]] = defaultdict(list)
    ends: Counter[str] = Counter()

    async def one(key: str) -> None:
        answer = await callers.ask(request(MODEL, key=key))
        ends[f"{'greedy' if key == GREEDY else 'modest'} {answer.code}"] += 1
        if answer.whole:
            waits[key].append(answer.total_s - SERVICE_S)

    async def all_of(key: str, rate: float) -> None:
        rng = random.Random(key)
        async with asyncio.TaskGroup() as group:
            async for _ in arrivals(rate, seconds, rng):
                group.create_task(one(key))

    async with asyncio.TaskGroup() as group:
        for key, rate in rates.items():
            group.create_task(all_of(key, rate))
    return waits, ends


async def measure(stage: Stage, seconds: float) -> list[Figure]:
    callers = Callers(stage.url)
    modest = dict.fromkeys(MODEST, CAPACITY / 2 / len(MODEST))
    await crowd(callers, modest, 5.0)  # connections are opened, code is loaded
    alone, _ = await crowd(callers, modest, seconds)
    beside, ends = await crowd(callers, {**modest, GREEDY: TIMES * CAPACITY / 2}, seconds)
    held = await stage.idle()
    stage.faultless()
    before = [wait for waits in alone.values() for wait in waits]
    after = [wait for key, waits in beside.items() if key != GREEDY for wait in waits]
    alone_s, beside_s = share_of(before, 0.99), share_of(after, 0.99)
    return [
        Figure("the others, alone: queries", len(before), at_least=LEAST),
        Figure("the others, alone: wait, p50", 1e3 * share_of(before, 0.5), "ms"),
        Figure("the others, alone: wait, p99", 1e3 * alone_s, "ms"),
        Figure("the others, beside the greedy one: queries", len(after), at_least=LEAST),
        Figure("the others, beside the greedy one: wait, p50", 1e3 * share_of(after, 0.5), "ms"),
        Figure("the others, beside the greedy one: wait, p99", 1e3 * beside_s, "ms"),
        Figure("added to p99, in mean service times", (beside_s - alone_s) / SERVICE_S, "", at_most=2),
        Figure(
            "the others: refused", sum(n for end, n in ends.items() if end.startswith("modest")) - len(after), at_most=0
        ),
        Figure("the greedy one: served", len(beside[GREEDY])),
        Figure(
            "the greedy one: refused",
            sum(n for end, n in ends.items() if end.startswith("greedy")) - len(beside[GREEDY]),
        ),
        Figure("leases left", held, at_most=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="alone, and as long beside the greedy key")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(replaying(folder, [MODEL], speed=SPEED))
        each = {"capacity": {"concurrency": SLOTS}, "timeout": PATIENT}
        tree = fleet(upstream, [MODEL], each=each, queue={"max_wait_s": 10, "max_size": 200})
        stage = stack.enter_context(gateway(folder, tree, upstream))
        figures = uvloop.run(measure(stage, asked.seconds))
    conclude(figures)


if __name__ == "__main__":
    main()
