"""Predictor services on real sockets: the real one, and one that answers with whatever a test wants."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from aiohttp import web

from gateway.predicting.service import application, description_of
from gateway.predicting.wire import ARRAYS, ARTIFACT, answer, describe, read_question
from gateway.server import uvicorn_config
from predictors.artifact import Artifact, Manifest
from tests.fakes import FakePredictor, held_out
from tests.gateway_server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.types import ASGIApp

MODELS = ("cheap", "dear")
PATIENCE_S = 20.0


def artifact(predictor: FakePredictor | None = None, *, name: str = "one") -> Artifact:
    """A fake's; artifacts of different names are different."""
    its = predictor or FakePredictor(MODELS, (0.0, 0.3))
    manifest = Manifest(
        predictor="hybrid", models=its.models, aliases={}, encoder="lexical", files={"network.npy": name}
    )
    return Artifact(its, held_out(its), manifest, np.zeros(0, np.uint64))


@asynccontextmanager
async def served(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Runs an application under the real server until the block ends; gives its URL."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn_config(app, "127.0.0.1", 0, drain_s=1)
        config.log_level = "error"
        server = Server(config)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.serve([listener]))
            await server.listening.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.stop.set()
                await running


@asynccontextmanager
async def service(its: Artifact, *, port: int = 0, max_batch: int = 64, max_waiting: int = 1000) -> AsyncIterator[str]:
    """A real predictor service."""
    async with served(application(its, max_batch=max_batch, max_waiting=max_waiting, now=time.monotonic), port) as url:
        yield url


@dataclass
class Scripted:
    """Answers like a predictor service, but with what a test puts in the way. None: nothing is in the way."""

    its: Artifact = field(default_factory=artifact)
    fault: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None
    description: bytes | None = None
    asked: int = 0  # questions

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        described = description_of(self.its)
        if request.path == ARTIFACT:
            return reply(self.description or describe(described))
        self.asked += 1
        if self.fault is not None:
            return await self.fault(request)
        prompts = read_question(await request.read())
        return reply(answer(self.its.predictor.predict(prompts), described.artifact))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        runner = web.ServerRunner(web.Server(self, handler_cancellation=True, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def reply(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type=ARRAYS)


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    """Returns once something holds that another task or process brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
