"""Two real worker processes: whichever is asked tells what both have counted."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from tests.http.asking import chat
from tests.redis_server import RedisServer
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SERVED = re.compile(r'^paretogate_queries_total\{.*outcome="served".*\} (\S+)$', re.MULTILINE)
FIRST_BYTES = re.compile(r"^gen_ai_server_time_to_first_token_seconds_count\{.*\} (\S+)$", re.MULTILINE)
STARTED = "Application startup complete"
QUERIES = 60


@asynccontextmanager
async def two_workers(config: Path) -> AsyncIterator[str]:
    """Serves until the block ends; gives the URL once both are ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", "0", "--workers", "2"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url, ready = "", 0
        while ready < 2:
            line = (await process.stderr.readline()).decode()
            assert line, "the gateway ended before it served"
            url = line.split("running on ")[1].split()[0] if "running on " in line else url
            ready += STARTED in line
        await until_heard(url)
        yield url
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def until_heard(url: str) -> None:
    """A worker says that it has started a moment before it listens, and another process has no event for that."""
    async with asyncio.timeout(10), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/healthz"):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)


async def test_any_worker_tells_the_sum(tmp_path: Path) -> None:
    upstream = Upstream()
    async with upstream.serving() as address:
        with RedisServer() as redis:
            config = tmp_path / "gateway.json"
            endpoint = {"name": "m-1", "model": "m", "url": address, "capacity": {"concurrency": 100}}
            tree = {
                "version": 1,
                "models": [{"name": "m", "price": {"input": 1, "output": 1}}],
                "endpoints": [endpoint],
            }
            config.write_text(json.dumps({**tree, "load": {"redis": redis.url}}), encoding="utf-8")
            async with two_workers(config) as url:
                await asyncio.gather(*(ask(url) for _ in range(QUERIES)))
                assert len(upstream.asked) == QUERIES
                for page in [await look(url) for _ in range(20)]:
                    assert sum(map(float, SERVED.findall(page))) == QUERIES
                    assert sum(map(float, FIRST_BYTES.findall(page))) == QUERIES


async def ask(url: str) -> None:
    """Over a connection of its own, which one of the workers accepts."""
    body = chat(model="m")
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=body) as answer:
        assert answer.status == 200
        await answer.read()


async def look(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        return await answer.text()
