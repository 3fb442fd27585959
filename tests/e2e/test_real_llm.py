"""A real language model behind the gateway: SmolLM2-135M, served by `transformers serve`, beside a replay upstream."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from openai import AsyncOpenAI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from openai.types.chat import ChatCompletionMessageParam

ENVIRONMENT = Path(__file__).parents[2] / ".venv-llm"
COMMAND = Path(sys.executable).with_name("paretogate")
CAPITAL: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]
DEMO_QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 7 plus 5?"}]

READY = re.compile(rb"(?:ready|running) .*?(http://127\.0\.0\.1:\d+)")
PATIENCE = 180.0  # seconds until a server must have said that it is ready: torch alone takes ten on a busy machine

pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(
        not (ENVIRONMENT / ".ready").exists(),
        reason=f"{ENVIRONMENT.name} is not there; `make {ENVIRONMENT.name}/.ready` builds it, or says why it cannot",
    ),
]


@asynccontextmanager
async def server(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Runs the command until the block ends; gives the URL that it printed when it was ready."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = process.stdout
    assert output is not None
    try:
        url = await _ready(output)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(output.read())  # a full pipe would stop the server
            yield url
            process.terminate()
            await drained
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ready(output: asyncio.StreamReader) -> str:
    seen = []
    async with asyncio.timeout(PATIENCE):
        async for line in output:
            seen.append(line.decode(errors="replace"))
            if found := READY.search(line):
                return found[1].decode()
    raise AssertionError(f"it ended before it was ready:\n{''.join(seen)}")


@asynccontextmanager
async def language_model() -> AsyncIterator[str]:
    """SmolLM2 as an OpenAI server. No hub is asked: the weights came with a package."""
    program = ENVIRONMENT / "bin" / "transformers"
    arguments = ("serve", "smollm2", "--host", "127.0.0.1", "--port", "0", "--device", "cpu")
    # The server knows the model by the path that it was started with, so it starts where a plain name is one.
    async with server(program, *arguments, cwd=ENVIRONMENT, env={"HF_HUB_OFFLINE": "1"}) as url:
        yield url


def configuration(model_url: str, replay_url: str) -> str:
    tree = {
        "version": 1,
        "models": [
            {"name": "smollm2", "price": {"input": 0.01, "output": 0.02}, "prior": {"quality": 0.4}},
            {"name": "demo-large", "price": {"input": 2.5, "output": 10}, "prior": {"quality": 0.9}},
        ],
        "endpoints": [
            {
                "name": "local",
                "model": "smollm2",
                "url": f"{model_url}/v1",
                "capacity": {"concurrency": 1},
                "timeout": {"first_byte": PATIENCE, "idle": PATIENCE},  # 4 tokens a second where nothing else runs
            },
            {"name": "replayed", "model": "demo-large", "url": f"{replay_url}/demo-large/v1"},
        ],
        "routes": [
            {"name": "auto", "objective": {"tradeoff": 0}},
            {"name": "best", "objective": {"tradeoff": 10}},
        ],
    }
    return yaml.safe_dump(tree)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[AsyncOpenAI]:
    """The OpenAI SDK, pointed at a gateway in front of the real model and of a replay upstream."""
    pool = str(files("gateway.lab") / "demo_pool.jsonl")
    async with (
        server(COMMAND, "replay-upstream", "--pool", pool, "--port", "0") as replay_url,
        language_model() as model_url,
    ):
        path = folder / "gateway.yaml"
        path.write_text(configuration(model_url, replay_url), encoding="utf-8")
        async with (
            server(COMMAND, "serve", "--config", path, "--port", "0") as url,
            AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client,
        ):
            yield client


async def test_real_text_comes_back_streamed_and_not(tmp_path: Path) -> None:
    async with gateway(tmp_path) as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=CAPITAL, max_tokens=24)
        assert raw.headers["x-paretogate-model"] == "smollm2"
        whole = raw.parse()
        assert "Paris" in (whole.choices[0].message.content or "")
        assert whole.usage is not None
        assert whole.usage.completion_tokens > 0

        stream = await client.chat.completions.create(model="auto", messages=CAPITAL, max_tokens=24, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "Paris" in "".join(pieces)
        assert len([piece for piece in pieces if piece]) > 3  # it came in parts

        other = await client.chat.completions.with_raw_response.create(model="best", messages=DEMO_QUESTION)
        assert other.headers["x-paretogate-model"] == "demo-large"
        assert other.headers["x-replay-score"] == "1.0"
        listed = {model.id async for model in client.models.list()}
        assert {"auto", "best", "smollm2", "demo-large"} <= listed
