"""A real process that is told to stop: streams finish, nothing new begins, and it ends with 0."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from signal import SIGTERM
from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_pace import Pace
from predictors.pool import read_pool

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

CONFIG = """
version: 1
models: [{{name: slow, price: {{input: 1, output: 1}}}}]
endpoints: [{{name: slow-1, model: slow, url: "{url}"}}]
server: {{drain_s: {drain_s}}}
"""
QUESTION = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "How long?"}]}


@asynccontextmanager
async def slow_upstream(folder: Path, *, speed: float) -> AsyncIterator[str]:
    """One model that takes its time over 60 tokens."""
    path = folder / "pool.jsonl"
    path.write_text('{"query_id": "q", "text": "How long?", "score:slow": 1, "out:slow": 60}\n', encoding="utf-8")
    async with serving(Replay(PoolAnswers(read_pool(path)), pace=Pace(speed=speed))) as url:
        yield endpoint_url(url, "slow")


@asynccontextmanager
async def gateway_process(folder: Path, upstream: str, *, drain_s: int = 10) -> AsyncIterator[tuple[Process, str]]:
    config = folder / "gateway.yaml"
    config.write_text(CONFIG.format(url=upstream, drain_s=drain_s), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", "0"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            assert line, "the gateway ended before it served"
            url = line.split("running on ")[1].split()[0] if "running on " in line else ""
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def streaming(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """A stream whose first event has come."""
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=QUESTION) as answer:
        assert answer.status == 200
        await answer.content.readuntil(b"\n\n")
        yield answer


async def until_closed(url: str) -> None:
    """Returns when nobody is taken in any more."""
    host, port = url.removeprefix("http://").split(":")
    with suppress(OSError):
        while True:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()


async def test_a_stream_finishes_and_the_process_ends_well(tmp_path: Path) -> None:
    async with (
        slow_upstream(tmp_path, speed=2) as upstream,
        gateway_process(tmp_path, upstream) as (process, url),
        streaming(url) as answer,
    ):
        process.send_signal(SIGTERM)
        rest = await answer.read()
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await process.wait() == 0
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(f"{url}/livez")


@pytest.mark.parametrize(("drain_s", "signals"), [(60, 2), (1, 1)])
async def test_a_second_signal_or_the_end_of_the_drain_time_stops_it(
    tmp_path: Path, drain_s: int, signals: int
) -> None:
    async with (
        slow_upstream(tmp_path, speed=0.05) as upstream,
        gateway_process(tmp_path, upstream, drain_s=drain_s) as (process, url),
        streaming(url) as answer,
    ):
        for _ in range(signals):
            process.send_signal(SIGTERM)
            await until_closed(url)  # signals of one kind that come together are one
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        rest = b""
        with suppress(aiohttp.ClientError):
            rest = await answer.read()
        assert b"[DONE]" not in rest
