"""The gateway as it is measured: one process, 14 models that the bundled artifact predicts."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

import predictors
from tests.bench.overhead.peers import Target
from tests.bench.overhead.servers import free_port, rss_mb, start, until_idle, until_ready

MODELS = 14
MIXED = ("m0", f"m{MODELS - 1}")  # stated priors lie on a line, so that nobody between its ends is the best buy
AMPLE = 1000
PREDICTED = json.loads((Path(predictors.__file__).parent / "starter" / "manifest.json").read_text("utf-8"))["models"]


def configuration(upstream: str, *, concurrency: int = AMPLE, replicas: int = 1, redis: str = "", log: str = "") -> str:
    """JSON is YAML.

    With replicas the models' qualities are stated instead of predicted: `auto` mixes the cheapest and the dearest of
    them, which have so many.
    """
    names = [f"m{number}" for number in range(MODELS)]
    known = [{"prior": {"quality": 0.4 + 0.03 * n}} if replicas > 1 else {"like": PREDICTED[n]} for n in range(MODELS)]
    capacity = {"concurrency": concurrency}
    places = [(name, f"{name}-{place}") for name in names for place in range(replicas if name in MIXED else 1)]
    return json.dumps(
        {
            "version": 1,
            "models": [
                {"name": name, "price": {"input": 0.1 * n + 0.1, "output": n + 1}, **known[n]}
                for n, name in enumerate(names)
            ],
            "endpoints": [
                {"name": place, "model": name, "url": upstream, "capacity": capacity} for name, place in places
            ],
            "routes": [{"name": "auto", "objective": {"min_quality": 0.6}}],
            "predictor": {"artifact": "starter"},
            "load": {"redis": redis},
            "log": {"url": log},
        }
    )


def serve(stack: ExitStack, config: Path, *flags: str) -> Target:
    """A gateway of this configuration, until the stack closes."""
    port = free_port()
    pid = start(stack, port, sys.executable, "-m", "gateway", "serve", "--config", config, "--port", str(port), *flags)
    target = Target(f"http://127.0.0.1:{port}", pid)
    until_ready(f"{target.url}/readyz")
    return target


def started(config: Path) -> tuple[float, float]:
    """Seconds from the command to being ready, and MB held when all is loaded that is loaded after that."""
    with ExitStack() as stack:
        began = time.monotonic()
        target = serve(stack, config)
        ready_s = time.monotonic() - began
        httpx.get(f"{target.url}/v1/models").raise_for_status()
        until_idle(target.pid)
        return ready_s, rss_mb(target.pid)


def cached(target: Target) -> tuple[float, float]:
    """Predictions that were computed and that were remembered, so far."""
    page = httpx.get(f"{target.url}/metrics").text
    told = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("paretogate_predictions_total"))
    computed, hit = (
        float(told[f'paretogate_predictions_total{{result="{result}"}}']) for result in ("computed", "cached")
    )
    return computed, hit
