"""A gateway before made-up models, and the Prometheus that watches it."""

from __future__ import annotations

import json
import math
import re
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import httpx
import yaml

from tests.http.keyed import bearer, key, token
from tests.redis_server import free_port
from tests.running import PARETOGATE, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deploy.boards import Expression

CLIENTS = 12
CALLER = "load"
TOKEN = token(CALLER)
POOL = str(files("gateway.lab") / "demo_pool.jsonl")
RATE_S, RANGE_S = 20, 60
LISTENS = re.compile(r"Server is ready to receive web requests")


class LikeVllm(BaseHTTPRequestHandler):
    """Answers as vLLM does: a chat, and its load at /metrics."""

    protocol_version = "HTTP/1.1"
    METRICS: ClassVar = (
        b'vllm:num_requests_running{m="x"} 1\nvllm:num_requests_waiting{m="x"} 0\nvllm:kv_cache_usage_perc 0.25\n'
    )
    ANSWER: ClassVar = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "x",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Well."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        }
    ).encode()

    def do_GET(self) -> None:
        self._say(self.METRICS, "text/plain")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say(self.ANSWER, "application/json")

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Says nothing."""


@contextmanager
def like_vllm() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), LikeVllm) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def configuration(replay: str, vllm: str, redis: str) -> dict[str, Any]:
    names = {
        "demo-small": (0.05, 0.20, 0.45, 4),
        "demo-medium": (0.40, 1.60, 0.74, 3),
        "demo-large": (2.5, 10, 0.96, 2),
    }
    models: list[dict[str, Any]] = [
        {"name": name, "price": {"input": low, "output": high}, "prior": {"quality": quality}}
        for name, (low, high, quality, _) in names.items()
    ]
    endpoints: list[dict[str, Any]] = [
        {"name": name, "model": name, "url": f"{replay}/{name}/v1", "capacity": {"concurrency": slots}}
        for name, (_, _, _, slots) in names.items()
    ]
    models.append({"name": "local", "price": {"input": 0, "output": 0}, "prior": {"quality": 0.3}})
    endpoints.append({"name": "local", "model": "local", "kind": "vllm", "url": f"{vllm}/v1"})
    return {
        "version": 1,
        "models": models,
        "endpoints": endpoints,
        "routes": [
            {"name": "auto", "models": ["demo-*"], "objective": {"tradeoff": 6}},
            {"name": "good", "models": ["demo-*"], "objective": {"min_quality": 0.6}},
            {"name": "cheap", "models": ["demo-*"], "objective": {"max_cost_per_1k": 0.30}},
        ],
        "predictor": {"artifact": "starter"},
        "load": {"redis": redis},
        "log": {"url": ""},
        "keys": [key(CALLER, admin=True, budget={"usd": 1000, "per": "day"})],
    }


@dataclass(frozen=True)
class Site:
    """Where the gateway and the Prometheus that watches it are."""

    gateway: str
    prometheus: str


@contextmanager
def site(folder: Path, redis: str, prometheus: str) -> Iterator[Site]:
    """All of it until the block ends.

    Args:
        folder: for configurations and Prometheus' data.
        redis: a URL.
        prometheus: the program.
    """
    with ExitStack() as stack:
        replay = stack.enter_context(
            running([PARETOGATE, "replay-upstream", "--pool", POOL, "--port", "0", "--speed", "20"])
        )
        tree = configuration(replay.url, stack.enter_context(like_vllm()), redis)
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        gateway = stack.enter_context(running([PARETOGATE, "serve", "--config", path, "--port", "0"]))
        port = free_port()
        stack.enter_context(running(prometheus_command(prometheus, folder, gateway.url, port), ready=LISTENS))
        yield Site(gateway.url, f"http://127.0.0.1:{port}")


def prometheus_command(program: str, folder: Path, gateway: str, port: int) -> list[str | Path]:
    target = gateway.removeprefix("http://")
    tree = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": "paretogate",
                "static_configs": [{"targets": [target]}],
                "authorization": {"credentials": TOKEN},
            }
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return [
        program,
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


async def client(url: str, number: int) -> None:
    """A few queries of every kind, and feedback on them."""
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=bearer(CALLER)) as http:
        for turn in range(4):
            target = ("auto", "good", "cheap", "local")[(number + turn) % 4]
            question = f"What is {number} plus {turn}?"
            body = {"model": target, "messages": [{"role": "user", "content": question}], "stream": turn % 2 == 0}
            answer = await http.post("/v1/chat/completions", json=body)
            decision = answer.headers.get("x-paretogate-decision")
            if decision is not None:
                await http.post("/v1/feedback", json={"decision_id": decision, "score": float(number % 3 > 0)})


async def stranger(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await http.get("/v1/models")


async def crowd(url: str) -> None:
    """Everybody at once, and one without a key."""
    async with anyio.create_task_group() as group:
        group.start_soon(stranger, url)
        for number in range(CLIENTS):
            group.start_soon(client, url, number)


def shown(http: httpx.Client, expression: Expression, rate_s: int = RATE_S, range_s: int = RANGE_S) -> list[float]:
    """The values of an expression that are numbers.

    Raises:
        AssertionError: Prometheus calls it wrong.
    """
    query = expression.filled(rate_s, range_s)
    answer = http.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    result = answer["data"]["result"]
    values = (
        [float(result[1])] if answer["data"]["resultType"] == "scalar" else [float(each["value"][1]) for each in result]
    )
    return [value for value in values if not math.isnan(value)]
