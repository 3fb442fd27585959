"""One of three endpoints of a model dies under load: who notices?

    python -m tests.bench.endpoint_dies --rate 200

A real gateway process before three upstream processes. One of them is killed (SIGKILL) in mid-run: its connections end
and nobody listens there any more. Half of the queries are streamed. A stream that has begun cannot be saved; it must
end in one clear error. All others are to be answered, by an endpoint that lives.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from tests.bench.clients import Callers, arrivals, request
from tests.bench.figures import Figure, conclude, p99_ms
from tests.faults.stage import PATIENT, Stage, fleet, gateway, replay_process

if TYPE_CHECKING:
    from tests.running import Program

MODEL = "tripled"
BEFORE_S, AFTER_S = 5.0, 10.0
ANSWER_S = 1.0
SPEED = 1.45 / ANSWER_S
SAMPLE_S = 0.02
SENT = re.compile(rf'^paretogate_attempts_total\{{endpoint="{MODEL}-1",result="(\w+)"\}} (\S+)$', re.MULTILINE)


@dataclass
class Seen:
    """What clients saw, by when they asked, and what was sent to the one that dies."""

    took: list[tuple[float, float]] = field(default_factory=list)  # (when, seconds)
    ends: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[float, float]] = field(default_factory=list)  # (when, attempts that failed there so far)


async def crowd(callers: Callers, rate: float, seconds: float, seen: Seen) -> None:
    rng = random.Random(4)
    asks = [request(MODEL, stream=stream) for stream in (False, True)]

    async def one(at: float) -> None:
        try:
            answer = await callers.ask(rng.choice(asks))
        except ConnectionError:
            seen.ends["no connection"] += 1
            return
        seen.ends[answer.code] += 1
        seen.took.append((at, answer.total_s))

    async with asyncio.TaskGroup() as group:
        async for at in arrivals(rate, seconds, rng):
            group.create_task(one(at))


async def watch(callers: Callers, seen: Seen) -> None:
    """Until it is cancelled."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        failed = sum(float(count) for result, count in SENT.findall(await callers.metrics()) if result != "answered")
        seen.sent.append((loop.time() - started, failed))
        await asyncio.sleep(SAMPLE_S)


async def measure(stage: Stage, doomed: Program, rate: float) -> list[Figure]:
    seen, callers, watcher = Seen(), Callers(stage.url), Callers(stage.url)
    loop = asyncio.get_running_loop()
    await crowd(callers, rate / 2, 3.0, Seen())  # connections are opened, code is loaded
    async with asyncio.TaskGroup() as group:
        started = loop.time()
        watching = group.create_task(watch(watcher, seen))
        asking = group.create_task(crowd(callers, rate, BEFORE_S + AFTER_S, seen))
        await asyncio.sleep(BEFORE_S)
        under_way = (await Callers(doomed.url).json("/replay/stats"))["in_flight"]
        doomed.process.kill()
        killed = loop.time() - started
        await asking
        watching.cancel()
    held = await stage.idle()
    stage.faultless()
    grown = [at for (_, before), (at, after) in zip(seen.sent, seen.sent[1:], strict=False) if after > before]
    burst = [at for at in grown if at <= killed + 1.0]
    later = next(failed for at, failed in seen.sent if at > killed + 1.0)
    probes = seen.sent[-1][1] - later
    cut = seen.ends["error in the stream"]
    return [
        Figure("queries", sum(seen.ends.values())),
        Figure("queries a second", sum(seen.ends.values()) / (BEFORE_S + AFTER_S), "/s", at_least=0.9 * rate),
        Figure("under way at the one that died", under_way),
        Figure("errors before the commit point", sum(seen.ends.values()) - seen.ends["answered"] - cut, at_most=0),
        Figure("streams that were under way there: one error event", cut),
        Figure("failed attempts there in the first second", later),
        Figure("the last of them, after its death", 1e3 * (max(burst, default=killed) - killed), "ms", at_most=1000),
        Figure(f"from then on, in {AFTER_S - 1:g} s: probes", probes, at_least=1, at_most=5),
        Figure("before: p99", p99_ms([took for at, took in seen.took if at < killed - 0.2]), "ms"),
        Figure("second of its death: p99", p99_ms([took for at, took in seen.took if 0 <= at - killed < 1]), "ms"),
        Figure("from then on: p99", p99_ms([took for at, took in seen.took if at - killed >= 1]), "ms"),
        Figure("leases left", held, at_most=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="queries a second")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = [stack.enter_context(replay_process(folder, [MODEL], speed=SPEED)) for _ in range(3)]
        each = {"capacity": {"concurrency": 256}, "timeout": PATIENT}
        tree = fleet(processes[0].url, [MODEL], each=each)
        first = tree["endpoints"].pop()
        tree["endpoints"] += [
            {**first, "name": f"{MODEL}-{number}", "url": f"{process.url}/{MODEL}/v1"}
            for number, process in enumerate(processes, start=1)
        ]
        stage = stack.enter_context(gateway(folder, tree, processes[1].url))
        figures = uvloop.run(measure(stage, processes[0], asked.rate))
    conclude(figures)


if __name__ == "__main__":
    main()
