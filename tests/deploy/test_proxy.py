"""The proxy's configuration as it is, in a real nginx, before two gateways on one Redis."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.redis_server import free_port
from tests.running import PARETOGATE, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
QUESTION = [{"role": "user", "content": "What is 7 plus 5?"}]
STARTED = re.compile(r"start worker process \d+")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Iterator[tuple[str, list[str]]]:
    """The proxy's URL, and the two gateways'."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed; tests/servers.sh installs it")
    folder = tmp_path_factory.mktemp("proxy")
    pool = str(files("gateway.lab") / "demo_pool.jsonl")
    with ExitStack() as stack:
        upstream = stack.enter_context(
            running([PARETOGATE, "replay-upstream", "--pool", pool, "--port", "0", "--speed", "5"])
        )
        env = {"UPSTREAM": upstream.url, "REDIS_URL": shared_redis.url}
        command: list[str | Path] = [PARETOGATE, "serve", "--config", ROOT / "config" / "compose.yaml", "--port", "0"]
        gateways = [stack.enter_context(running(command, env=env)).url for _ in range(2)]
        port = free_port()
        path = folder / "nginx.conf"
        path.write_text(settled(port, gateways, folder), encoding="utf-8")
        stack.enter_context(nginx(program, path))
        yield f"http://127.0.0.1:{port}", gateways


def settled(port: int, gateways: list[str], folder: Path) -> str:
    """The file of deploy/ with this machine's addresses in it."""
    text = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};").replace("/tmp/", f"{folder}/")  # noqa: S108
    for number, url in enumerate(gateways, start=1):
        text = text.replace(f"gateway-{number}:8080", url.removeprefix("http://"))
    assert "gateway-" not in text
    return text.replace("/dev/stderr warn", "/dev/stderr notice")


class nginx:  # noqa: N801 - a context, named as the program
    """Runs until the block ends. Its master ends itself and its workers when it is told to quit."""

    def __init__(self, program: str, path: Path) -> None:
        self._command = [program, "-c", str(path), "-g", "daemon off;"]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if STARTED.search(line):
                return
        raise RuntimeError("nginx did not start:\n" + "".join(said))

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGQUIT)
        assert self._process.stderr is not None
        self._process.stderr.read()
        self._process.wait()
        self._process.stderr.close()


def served(url: str) -> int:
    """Queries that a gateway has served."""
    page = httpx.get(f"{url}/metrics").text
    counts = re.findall(r'^paretogate_queries_total\{.*outcome="served".*\} (\S+)$', page, re.MULTILINE)
    return sum(int(float(count)) for count in counts)


def test_both_gateways_serve_through_one_port(proxied: tuple[str, list[str]]) -> None:
    url, gateways = proxied
    before = [served(each) for each in gateways]
    with httpx.Client(base_url=url, timeout=30) as client:
        for _ in range(20):
            answer = client.post("/v1/chat/completions", json={"model": "auto", "messages": QUESTION})
            assert answer.status_code == 200, answer.text
            assert "x-paretogate-decision" in answer.headers
    after = [served(each) for each in gateways]
    assert sum(after) - sum(before) == 20  # none lost, none doubled
    assert all(later > earlier for earlier, later in zip(before, after, strict=True))


def test_a_stream_comes_in_parts(proxied: tuple[str, list[str]]) -> None:
    body = {"model": "auto", "messages": QUESTION, "stream": True}
    with httpx.stream("POST", f"{proxied[0]}/v1/chat/completions", json=body, timeout=30) as answer:
        parts = list(answer.iter_raw())
    assert len(parts) > 1  # a proxy that buffers would send one
    assert b"".join(parts).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/metrics", "/v1/metrics"])
def test_metrics_are_not_on_the_public_port(proxied: tuple[str, list[str]], path: str) -> None:
    assert httpx.get(proxied[0] + path).status_code == 404


def test_readiness_and_models_are(proxied: tuple[str, list[str]]) -> None:
    assert httpx.get(f"{proxied[0]}/readyz").json()["status"] == "ready"
    names = {model["id"] for model in httpx.get(f"{proxied[0]}/v1/models").json()["data"]}
    assert {"auto", "good", "cheap", "demo-small"} <= names
