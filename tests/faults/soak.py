"""Load, faults and aborts together, for as long as one likes: nothing may be left, lost or grow.

    python -m tests.faults.soak --minutes 10

A gateway process, its Redis (paused for a second every minute) and a replay upstream, at four fifths of their
capacity, with a fault in a tenth of the answers and a tenth of the clients leaving early. The gateway keeps 500
decisions, so that they are all there when it is warm. Prints JSON, and ends with 1 when a bound is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.faults.soak_load import LOST, Crowd
from tests.faults.stage import GATEWAYS_OWN_FAULT, STEADY, Stage, fleet, gateway, replaying, until
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Sequence

MODELS = ("one", "two")
KINDS = (
    *("cut-mid-stream", "reset", "500", "stall-mid-stream", "garbage", "half-character", "no-usage"),
    *("429-retry-after", "error-mid-stream", "drip"),
)
FAULTS = [f"*={kind}:0.01" for kind in KINDS]  # of a hundred answers one of each kind goes wrong
SLOTS, SPEED = 6, 4.0  # of each endpoint; answers of 60 tokens take 0.36 s
ANSWER_S = 0.36
LOAD = 0.8  # of the capacity
MOST_GROWTH = 1.0  # MB a minute
KEPT_S = 75.0  # in which connections that are kept for the next query are closed: they are looked at every 30 s
SAMPLE_S = 2.0
OUTCOMES = re.compile(r"^paretogate_queries_total\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    minutes: float
    queries: int
    ends: dict[str, int]
    lost: int  # without an end, or with one that no client can tell from a whole answer
    without_outcome: int  # by the gateway's own count
    leases_left: int
    sockets_left: int  # more than before the first query
    own_faults: list[str]  # lines of the gateway's log
    exit_code: int  # of the gateway, told to stop: a task that is left would hold it up
    rss_first_mb: float  # after warm-up
    rss_last_mb: float
    rss_mb_per_minute: float

    @property
    def well(self) -> bool:
        left = self.lost or self.without_outcome or self.leases_left or self.sockets_left or self.own_faults
        return not left and self.exit_code == 0 and self.rss_mb_per_minute < MOST_GROWTH


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += str(link.readlink()).startswith("socket:")
    return count


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """MB a minute of (seconds, MB), by least squares."""
    times, sizes = np.array(samples).T
    return float(60 * np.polyfit(times, sizes, 1)[0])


async def _watch(stage: Stage, crowd: Crowd, server: RedisServer, minutes: float) -> list[tuple[float, float]]:
    """Samples the process and pauses Redis now and then, until it is cancelled; shows how far it is."""
    loop, pid, samples = asyncio.get_running_loop(), stage.program.process.pid, []
    started = loop.time()
    while (passed := loop.time() - started) < 60 * minutes:
        samples.append((passed, rss_mb(pid)))
        line = f"{passed / 60:5.1f} of {minutes:g} min  {sum(crowd.ends.values())} queries  {samples[-1][1]:.0f} MB"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
        if len(samples) % 30 == 15:
            server.pause()
            await asyncio.sleep(1.0)
            server.resume()
        await asyncio.sleep(SAMPLE_S)
    print(file=sys.stderr)
    return samples


async def soak(stage: Stage, server: RedisServer, minutes: float) -> Result:
    process = stage.program.process
    await stage.order()
    await stage.earn_retries()
    before = sockets(process.pid)
    counted = sum(map(float, OUTCOMES.findall(await stage.metrics())))
    await stage.order(*FAULTS)
    rate = LOAD * SLOTS * (len(MODELS) + 1) / ANSWER_S
    crowd = Crowd(stage.url, [*MODELS, STEADY, *(f"or-{name}" for name in MODELS)], rate, ANSWER_S)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(stage, crowd, server, minutes))
        await crowd.run(60 * minutes)
    samples = watching.result()
    warm = [sample for sample in samples if sample[0] >= min(60.0, 12 * minutes)]
    leases = await stage.idle(within=20)

    async def closed() -> bool:
        return sockets(process.pid) <= before

    try:
        await until(closed, within=KEPT_S)
    except TimeoutError:
        print("sockets stayed open", file=sys.stderr)
    sent = sum(crowd.ends.values())
    outcomes = sum(map(float, OUTCOMES.findall(await stage.metrics()))) - counted
    left = max(0, sockets(process.pid) - before)
    await asyncio.to_thread(stage.program.stop)
    return Result(
        minutes=minutes,
        queries=sent,
        ends=dict(crowd.ends.most_common()),
        lost=sum(crowd.ends[each] for each in (*LOST, "no end")),
        without_outcome=round(max(0.0, sent - crowd.ends["left"] - outcomes)),
        leases_left=leases,
        sockets_left=left,
        own_faults=[line for line in stage.program.said if any(sign in line for sign in GATEWAYS_OWN_FAULT)][:5],
        exit_code=process.returncode,
        rss_first_mb=round(warm[0][1], 1),
        rss_last_mb=round(warm[-1][1], 1),
        rss_mb_per_minute=round(slope(warm), 3),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        upstream = stack.enter_context(replaying(folder, MODELS, speed=SPEED))
        capacity = {"concurrency": SLOTS}
        timeout = {"connect": 1, "first_byte": 2, "idle": 1, "total": 10}
        tree = fleet(upstream, MODELS, each={"capacity": capacity, "timeout": timeout}, load={"redis": server.url})
        tree["endpoints"][0] |= {"capacity": capacity, "timeout": timeout}
        tree |= {"queue": {"max_wait_s": 5}, "server": {"decisions": 500}}
        stage = stack.enter_context(gateway(folder, tree, upstream))
        result = asyncio.run(soak(stage, server, asked.minutes))
    print(json.dumps(asdict(result), indent=2))
    sys.exit(not result.well)


if __name__ == "__main__":
    main()
