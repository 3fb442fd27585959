"""Every example runs as it stands, against a real gateway in front of scripted endpoints."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gateway_server import gateway, settings
from tests.upstream_app import Upstream, completion, plain_stream, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES = Path(__file__).parents[1] / "examples"
CALLS = {"add": '{"numbers": [19, 23]}', "today": "{}"}


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def url(upstream: Upstream) -> AsyncIterator[str]:
    async with upstream.serving() as direct, gateway(settings({"cheap": direct})) as served:
        yield f"{served}/v1"


async def output(url: str, *command: str | Path, cwd: Path | None = None) -> str:
    """What it prints; it must end well."""
    env = {**os.environ, "PARETOGATE_URL": url, "LANGSMITH_TRACING": "false"}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


def test_every_example_has_a_test() -> None:
    tested = {"README.md", "agent.py", "ask.mjs", "ask.py", "ask.sh", "langchain_chain.py"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tested


async def test_curl(url: str, upstream: Upstream) -> None:
    upstream.then(whole(completion("12")), plain_stream("one", " two"))
    said = await output(url, "sh", EXAMPLES / "ask.sh")
    assert "x-paretogate-model: cheap" in said
    assert '"content": "12"' in said
    assert said.rstrip().endswith("data: [DONE]")


async def test_python(url: str, upstream: Upstream) -> None:
    upstream.then(whole(completion("12")), plain_stream("one", " two"))
    first, second, third = (await output(url, sys.executable, EXAMPLES / "ask.py")).splitlines()
    assert first.startswith("cheap answered for 0.0000")
    assert (second, third) == ("12", "one two")


@pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are not installed here")
async def test_node(url: str, upstream: Upstream, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "ask.mjs", tmp_path)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(tmp_path), "openai@6"]
    await asyncio.to_thread(subprocess.run, install, check=True, timeout=120)
    upstream.then(whole(completion("12")), plain_stream("one", " two"))
    said = await output(url, "node", "ask.mjs", cwd=tmp_path)
    assert said.splitlines() == ["cheap answered: 12", "one two"]
    assert all("routing" not in asked.json for asked in upstream.asked)


async def test_langchain(url: str, upstream: Upstream) -> None:
    typed = whole(completion('{"mood": "glad", "sure": true}'))
    upstream.then(whole(completion("Bonjour")), plain_stream("Bonne", " nuit"), typed)
    said = await output(url, sys.executable, EXAMPLES / "langchain_chain.py")
    assert said.splitlines() == ["answer: Bonjour", "stream: Bonne nuit", "typed: mood='glad' sure=True"]


async def test_an_agent(url: str, upstream: Upstream) -> None:
    def calls(name: str) -> dict[str, object]:
        call = {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": CALLS[name]}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])

    upstream.then(whole(calls("add")), whole(calls("today")), whole(completion("It is 42.")))
    said = (await output(url, sys.executable, EXAMPLES / "agent.py", "What", "is", "19 plus 23?")).splitlines()
    assert said[:3] == ["step 1: cheap", '  add({"numbers": [19, 23]}) = 42', "step 2: cheap"]
    assert said[-1] == "answer: It is 42."
    results = [message for message in upstream.asked[-1].json["messages"] if message["role"] == "tool"]
    assert json.loads(results[0]["content"]) == 42
    assert results[1]["tool_call_id"] == "call_today"
