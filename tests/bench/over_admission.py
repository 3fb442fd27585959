"""Do several gateways on one Redis ever send an endpoint more than it can take?

    python -m tests.bench.over_admission --requests 100000

Real gateway processes, one Redis, one upstream that answers within 5 ms, has as many slots as are configured, and
counts each query that finds none. Clients ask again as soon as they are answered, so all but `capacity` of them wait.

Redis may take a second to answer (`load.answer_ms`), where it has 50 ms otherwise. A gateway that takes Redis for gone
goes by its own view while the others do not, and may take a slot a second time: what is asked of leases is asked of a
Redis that is there, and a machine that is short of CPU must not look like one without. `--answer-ms 50` tries both.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import uvloop

from tests.bench.clients import Callers, connect, request
from tests.bench.figures import Figure, conclude, cpu_s, share_of
from tests.faults.stage import PATIENT, Stage, fleet, gateway, replaying
from tests.redis_server import RedisServer

MODEL = "narrow"
FAILURES = re.compile(r"^paretogate_load_exchange_failures_total (\S+)$", re.MULTILINE)
EXCHANGES = re.compile(r"^paretogate_load_exchange_seconds_count (\S+)$", re.MULTILINE)
BATCHES = re.compile(r"^paretogate_decisions_total\{.*\} (\S+)$", re.MULTILINE)
SPEED = 290.0  # an answer takes 5 ms: without any time at all no two of them would ever meet


async def crowd(urls: list[str], clients: int, requests: int) -> tuple[Counter[str], list[float]]:
    """How queries ended, and the seconds that each took."""
    left, ends, took = requests, Counter[str](), []
    raw = request(MODEL)

    async def client(url: str) -> None:
        nonlocal left
        connection = await connect(url)
        while left > 0:
            left -= 1
            answer = await connection.ask(raw)
            ends[answer.code] += 1
            took.append(answer.total_s)
            if left % 5000 == 0:
                print(f"\r{left} left", end="", file=sys.stderr, flush=True)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(urls[number % len(urls)]))
    return ends, took


async def counted(stage: Stage, what: re.Pattern[str]) -> float:
    return sum(map(float, what.findall(await stage.metrics())))


async def measure(stages: list[Stage], upstream: str, asked: argparse.Namespace) -> list[Figure]:
    loop, requests = asyncio.get_running_loop(), asked.requests
    started = loop.time()
    cpu = sum(cpu_s(stage.program.process.pid) for stage in stages)
    ends, took = await crowd([stage.url for stage in stages], asked.clients, requests)
    seconds = loop.time() - started
    cpu = sum(cpu_s(stage.program.process.pid) for stage in stages) - cpu
    counts = (await Callers(upstream).json("/replay/stats"))["models"][MODEL]
    leases = await stages[0].idle()
    for stage in stages:
        stage.faultless()
    return [
        Figure("queries", sum(ends.values()), at_least=requests),
        Figure("not answered", sum(ends.values()) - ends["answered"], at_most=0),
        Figure("at once at the upstream, at most", counts["peak"], at_most=asked.capacity),
        Figure("over-admitted: found no slot at the upstream", counts["rejected"], at_most=0),
        Figure("leases left", leases, at_most=0),
        Figure(
            # then a gateway goes by its own view, and its share
            f"exchanges not answered within {asked.answer_ms:g} ms",
            sum([await counted(each, FAILURES) for each in stages]),
        ),
        Figure("seconds", seconds, "s"),
        Figure("queries a second, all gateways", requests / seconds, "/s"),
        Figure("CPU of the gateways, a query", 1e3 * cpu / requests, "ms"),
        Figure("exchanges with Redis, a query", sum([await counted(each, EXCHANGES) for each in stages]) / requests),
        Figure("batches weighed, a query", sum([await counted(each, BATCHES) for each in stages]) / requests),
        Figure("a query, median, most of it waiting", 1e3 * share_of(took, 0.5), "ms"),
        Figure("a query, p99", 1e3 * share_of(took, 0.99), "ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--capacity", type=int, default=8)
    parser.add_argument("--answer-ms", type=float, default=1000.0, help="what Redis may take: load.answer_ms")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        upstream = stack.enter_context(replaying(folder, [MODEL], "--slots", f"{MODEL}={asked.capacity}", speed=SPEED))
        each = {"capacity": {"concurrency": asked.capacity}, "timeout": PATIENT}
        load = {"redis": server.url, "answer_ms": asked.answer_ms}
        tree = fleet(upstream, [MODEL], each=each, load=load, queue={"max_wait_s": 120})
        stages = [stack.enter_context(gateway(folder, tree, upstream)) for _ in range(asked.gateways)]
        figures = uvloop.run(measure(stages, upstream, asked))
    conclude(figures)


if __name__ == "__main__":
    main()
