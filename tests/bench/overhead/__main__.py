"""What the gateway adds to a call, beside doing without one, the least that forwards, and other gateways.

`make bench-overhead ARGS="--peers DIR"`. Needs a C compiler, wrk and redis-server.
Rounds are interleaved, medians are told; the machine may be shared, so ratios within one run count, not figures across
runs. With --peers, LiteLLM, Portkey and vllm-router are measured too, installed into DIR when they are not there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.overhead import load, ours, peers, report
from tests.bench.overhead.peers import Target
from tests.bench.overhead.servers import free_port, rss_mb, start, until_idle
from tests.redis_server import RedisServer

HERE = Path(__file__).parent
SLOW_S = 2.0
NO_STREAMS = ("auto, contended", "pinned, logged", "portkey")  # Portkey 1.15 answers 500 to them on Node 18
STEADY = 3  # rounds for one of the others, where a few are too noisy and one is short
BUSY_MS = 10  # of an answer of the contended fleet, which has one slot an endpoint
REPLICAS = 7  # of the models that its queries go to


class Bench:
    """All servers of one run, and what has been measured."""

    def __init__(self, stack: ExitStack, folder: Path, asked: argparse.Namespace) -> None:
        self.stack = stack
        self.folder = folder
        self.asked = asked
        self.upstream = folder / "upstream"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.upstream, HERE / "upstream.c"], check=True)
        load.write_prompts(folder / "prompts.txt")
        self.direct = self.replying(0)
        self.results: dict[str, Any] = {"rows": [], "repeats": asked.repeats, "seconds": asked.seconds}
        self.began = time.monotonic()

    def replying(self, delay_ms: int) -> Target:
        """An upstream of its own."""
        port = free_port()
        start(self.stack, port, self.upstream, str(port), str(delay_ms), str(load.EVENTS))
        return Target(f"http://127.0.0.1:{port}")

    def gateway(self, upstream: Target, *flags: str, **wishes: Any) -> Target:  # noqa: ANN401 - of a configuration
        config = self.folder / f"gateway-{free_port()}.json"
        config.write_text(ours.configuration(f"{upstream.url}/v1", **wishes), encoding="utf-8")
        served = ours.serve(self.stack, config, *flags)
        until_idle(served.pid)
        return served

    def bare(self) -> Target:
        port = free_port()
        app = ("-m", "uvicorn", "--app-dir", HERE, "--no-access-log", "--log-level", "critical", "--port", str(port))
        address = self.direct.url + load.PATH
        return Target(
            f"http://127.0.0.1:{port}",
            start(self.stack, port, sys.executable, *app, "bare:app", env={"UPSTREAM": address}),
        )

    def targets(self) -> dict[str, Target]:
        """By the name of their row."""
        found = {"direct": self.direct, "bare": self.bare()}
        gateway = self.gateway(self.direct)
        found["pinned"] = gateway
        found["auto"] = Target(gateway.url, gateway.pid, "auto")
        found["pinned, logged"] = self.gateway(self.direct, log=f"sqlite:///{self.folder}/log.sqlite")
        contended = self.gateway(self.replying(BUSY_MS), concurrency=1, replicas=REPLICAS)
        found["auto, contended"] = Target(contended.url, contended.pid, "auto")
        if self.asked.peers:
            self.asked.peers.mkdir(parents=True, exist_ok=True)
            for name, peer in peers.PEERS.items():
                found[name] = peer(self.stack, self.asked.peers.resolve(), f"{self.direct.url}/v1")
        return found

    def rates(self, targets: dict[str, Target], connections: int, *, stream: bool) -> None:
        """Interleaved rounds of all targets; medians and the spread of the rates. A peer that fails gets no row."""
        rounds: dict[str, list[load.Taken]] = {name: [] for name in targets}
        for target in targets.values():
            load.until_it_answers(target, stream=stream)
        for _ in range(self.asked.repeats):
            for name in tuple(rounds):
                try:
                    rounds[name].append(self.round(targets[name], connections, stream=stream))
                except load.WrongError as error:
                    if name not in peers.PEERS:
                        raise
                    del rounds[name]
                    print(f"{name}: no row: {error}", flush=True)
        for name, taken in rounds.items():
            middle = load.Taken(*(median(column) for column in zip(*taken, strict=True)))
            spread = [min(each.rate for each in taken), max(each.rate for each in taken)]
            told = {"spread": spread, "rounds": [each._asdict() for each in taken]}
            row = {"row": name, "connections": connections, "stream": stream, **middle._asdict(), **told}
            self.results["rows"].append(row)
            print(report.line(row), flush=True)
        self.keep()

    def round(self, target: Target, connections: int, *, stream: bool) -> load.Taken:
        return load.wrk(target, self.folder, connections=connections, seconds=self.asked.seconds, stream=stream)

    def workers(self) -> dict[str, list[float]]:
        """CPU µs of a pinned query in each round, for one worker and for two, both on Redis."""
        with RedisServer() as redis:
            one, two = (self.gateway(self.direct, "--workers", count, redis=redis.url) for count in ("1", "2"))
            taken: dict[str, list[float]] = {"one": [], "two": []}
            for _ in range(STEADY * self.asked.repeats):
                for name, target in (("one", one), ("two", two)):
                    taken[name].append(load.wrk(target, self.folder, connections=16, seconds=self.asked.seconds).cpu_us)
            return taken

    def first_chunks(self, targets: dict[str, Target]) -> dict[str, list[float]]:
        """Milliseconds, medians of each round."""
        taken: dict[str, list[float]] = {name: [] for name in ("direct", "pinned", "auto")}
        for _ in range(STEADY * self.asked.repeats):
            for name, medians in taken.items():
                medians.append(median(load.first_chunks_ms(targets[name], 100)))
        return taken

    def slow(self) -> dict[str, float]:
        """Of an answer of two seconds, with 64 clients: the share that is overhead, by the clock and by our headers."""
        upstream = self.replying(round(SLOW_S * 1000))
        gateway = self.gateway(upstream)
        target = Target(gateway.url, gateway.pid, "auto")
        plain, _ = asyncio.run(load.slow_answers(upstream, clients=64, rounds=3, answer_s=SLOW_S))
        seconds, overheads = asyncio.run(load.slow_answers(target, clients=64, rounds=3, answer_s=SLOW_S))
        return {
            "p50": (load.share(seconds, 0.5) - load.share(plain, 0.5)) / SLOW_S,
            "p99": (load.share(seconds, 0.99) - load.share(plain, 0.99)) / SLOW_S,
            "told_p50": load.share(overheads, 0.5) / 1000 / SLOW_S,
            "told_p99": load.share(overheads, 0.99) / 1000 / SLOW_S,
        }

    def keep(self) -> None:
        """Writes what has been measured up to now, where that is wanted."""
        if self.asked.json:
            self.asked.json.write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def now(self, what: str) -> None:
        """Says what is measured next."""
        print(f"[{time.monotonic() - self.began:4.0f} s] {what}", flush=True)

    def run(self) -> None:
        results, asked = self.results, self.asked
        self.now("starts")
        config = self.folder / "start.json"
        config.write_text(ours.configuration(f"{self.direct.url}/v1"), encoding="utf-8")
        starts = [ours.started(config) for _ in range(asked.repeats + 1)][1:]  # the first warms the files
        results["start_s"], results["start_rss_mb"] = (median(column) for column in zip(*starts, strict=True))
        self.now("servers")
        targets = self.targets()
        results["targets"] = {name: {"version": each.version, "flags": each.flags} for name, each in targets.items()}
        before = ours.cached(targets["auto"])
        for connections in asked.connections:
            self.now(f"whole answers, {connections} at once")
            self.rates(targets, connections, stream=False)
        computed, hit = (after - first for after, first in zip(ours.cached(targets["auto"]), before, strict=True))
        results["cached_share"] = hit / max(1.0, computed + hit)
        streams = {name: target for name, target in targets.items() if name not in NO_STREAMS}
        self.now("streams, 16 at once")
        self.rates(streams, 16, stream=True)
        self.now("first chunks and parts")
        results["first_chunk_ms"] = self.first_chunks(targets)
        results["parts_off"] = asyncio.run(load.parts_beside_total(targets["auto"], 200))
        results["rss_mb"] = {name: rss_mb(each.pid) for name, each in targets.items() if each.pid}
        self.now("answers of two seconds")
        results["slow"] = self.slow()
        self.now("one worker and two")
        results["workers_cpu_us"] = self.workers()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=2, help="of one round")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    options.add_argument("--peers", type=Path, help="measures other gateways too, installed into this folder")
    options.add_argument("--json", type=Path, help="where the figures go")
    options.add_argument("--write", action="store_true", help="puts the table into docs/benchmarks.md")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(stack, folder, asked)
        bench.results["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        bench.results["commit"] = commit.stdout.strip()
        bench.run()
        bench.keep()
        results = bench.results
    print("\n".join(report.summary(results)))
    if asked.write:
        report.write(results)


if __name__ == "__main__":
    main()
