"""Ten times as many clients as a gateway has slots and places to wait: does memory stay flat, is what it says honest?

    python -m tests.bench.oversubscribed --seconds 60

One gateway before a replay upstream, as many clients as ten times its slots and its line together. Each asks, and asks
again: at once when it was answered, after `retry-after-ms` when it was refused, as OpenAI's clients do.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.bench.clients import Answer, connect, request
from tests.bench.figures import Figure, conclude, share_of
from tests.faults.soak import rss_mb, slope
from tests.faults.stage import PATIENT, STEADY, Stage, fleet, gateway, replaying

TIMES = 10  # as many clients as can be served or wait
SPEED = 29.0  # an answer takes 50 ms
SAMPLE_S = 0.5
WARM = 0.4  # of the time: connections are opened, and the gateway's memory of decisions fills
REFUSED = (429, 503)


@dataclass
class Seen:
    """What clients saw."""

    answered: int = 0
    refused: int = 0
    without_retry_after: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # other than refusals
    waits: list[float] = field(default_factory=list)  # seconds, as told
    back: int = 0  # came back after being refused once
    back_served: int = 0

    def note(self, answer: Answer, *, came_back: bool) -> float | None:
        """Seconds after which its client comes back; None where it was not refused."""
        self.back += came_back
        if answer.whole:
            self.answered += 1
            self.back_served += came_back
            return None
        if answer.status not in REFUSED:
            self.errors[f"{answer.code}: {bytes(answer.body[:200]).decode()}"] += 1
            return None
        self.refused += 1
        told = answer.headers.get("retry-after")
        if told is None:
            self.without_retry_after += 1
            return 1.0
        self.waits.append(float(answer.headers.get("retry-after-ms", 1000 * float(told))) / 1000)
        return self.waits[-1]


async def client(url: str, raw: bytes, seen: Seen) -> None:
    """Until it is cancelled."""
    connection = await connect(url)
    came_back = False
    try:
        while True:
            if not connection.open:  # the gateway closes those that are idle for long
                connection = await connect(url)
            wait_s = seen.note(await connection.ask(raw), came_back=came_back)
            came_back = wait_s is not None
            await asyncio.sleep(wait_s or 0.0)
    except ConnectionError as error:
        seen.errors[type(error).__name__] += 1
    finally:
        connection.close()


async def watched(pid: int, seconds: float) -> list[tuple[float, float]]:
    """(seconds, MB), again and again."""
    loop = asyncio.get_running_loop()
    started, samples = loop.time(), []
    while (passed := loop.time() - started) < seconds:
        samples.append((passed, rss_mb(pid)))
        await asyncio.sleep(SAMPLE_S)
    return samples


async def measure(stage: Stage, clients: int, seconds: float) -> list[Figure]:
    pid, seen, raw = stage.program.process.pid, Seen(), request(STEADY)
    before = rss_mb(pid)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client(stage.url, raw, seen)) for _ in range(clients)]
        samples = await watched(pid, seconds)
        for task in tasks:
            task.cancel()
    warm = [sample for sample in samples if sample[0] >= WARM * seconds]
    leases = await stage.idle()
    stage.faultless()
    return [
        Figure("clients", clients),
        Figure("answered", seen.answered, at_least=1),
        Figure("refused (429 or 503)", seen.refused, at_least=1),
        Figure("refused without a retry-after", seen.without_retry_after, at_most=0),
        Figure(f"other ends {dict(seen.errors) or ''}".strip(), seen.errors.total(), at_most=0),
        Figure("retry-after, median", share_of(seen.waits, 0.5), "s"),
        Figure("retry-after, longest", max(seen.waits), "s"),
        Figure("came back after it", seen.back),
        Figure("of those, answered then", seen.back_served / max(1, seen.back)),
        Figure("memory before the first client", before, "MB"),
        Figure("memory when warm", warm[0][1], "MB"),
        Figure("memory at the end", warm[-1][1], "MB"),
        Figure("growth when warm, a minute", slope(warm), "MB", at_most=1),
        Figure("leases left", leases, at_most=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--capacity", type=int, default=8)
    parser.add_argument("--line", type=int, default=32, help="how many may wait")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(replaying(folder, [], speed=SPEED))
        queue = {"max_size": asked.line, "max_wait_s": 30}
        tree = fleet(upstream, [], queue=queue, server={"decisions": 500})
        tree["endpoints"][0] |= {"capacity": {"concurrency": asked.capacity}, "timeout": PATIENT}
        stage = stack.enter_context(gateway(folder, tree, upstream))
        figures = uvloop.run(measure(stage, TIMES * (asked.capacity + asked.line), asked.seconds))
    conclude(figures)


if __name__ == "__main__":
    main()
