"""The real gateway under the real server, inside the test's own loop."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from gateway.app import Gateway, now
from gateway.http.application import Application
from gateway.server import server_config
from gateway.settings import Settings, from_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

LEASES = re.compile(r'^paretogate_leases\{endpoint="(.+)"\} (\S+)$', re.MULTILINE)


class Server(uvicorn.Server):
    """Says when it listens, and stops when it is told instead of at the next tick of its clock."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.stop.wait()


def settings(
    urls: dict[str, str],
    *,
    models: dict[str, dict[str, object]] | None = None,
    each: dict[str, object] | None = None,
    **sections: Any,  # noqa: ANN401 - of any shape
) -> Settings:
    """A configuration with one model per endpoint, the cheapest and least first.

    Args:
        urls: by model; its endpoint is `<name>-1`.
        models: what is to be said of a model besides its price and prior.
        each: what is to be said of every endpoint.
        sections: others, or others than these.
    """
    tree: dict[str, object] = {
        "version": 1,
        "models": [
            {
                "name": name,
                "price": {"input": place, "output": place},
                "prior": {"quality": 0.5 + 0.1 * place},
                **(models or {}).get(name, {}),
            }
            for place, name in enumerate(urls, start=1)
        ],
        "endpoints": [{"name": f"{name}-1", "model": name, "url": url, **(each or {})} for name, url in urls.items()],
        "routes": [{"name": "auto", "objective": {"tradeoff": 0}}],
        "log": {"url": ""},
        **sections,
    }
    return from_tree(tree, {}, source="test")


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[str]:
    """Serves a gateway until the block ends; gives its URL without a path."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with gateway.running():
            yield

    app = Application(
        lambda: gateway.pipeline,
        lambda: gateway.keyring,
        gateway,
        lifespan=lifespan,
        refused=gateway.metrics.keys.refused,
        body_limit=int(gateway.settings.server.max_body_mb * 2**20),
        ping_s=gateway.settings.server.ping_s,
        now=now,
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = server_config(app, gateway.settings, "127.0.0.1", 0)
        config.log_level = "error"
        server = Server(config)
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.serve([listener]))
            await server.listening.wait()
            await app.desk()  # which otherwise is loaded beside the first queries, and what is asked of it waits
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            except BaseException as error:  # noqa: BLE001 - raised below: the group would stop the server, and wrap it
                failure = error
            server.stop.set()
            await running
        if failure is not None:
            raise failure


@asynccontextmanager
async def gateway(its: Settings) -> AsyncIterator[str]:
    """Serves a configuration until the block ends; gives its URL without a path."""
    async with serving(Gateway(its)) as url:
        yield url


async def leases(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    """Slots held, by endpoint, as the metrics tell."""
    async with session.get(f"{url}/metrics") as answer:
        return {name: int(float(held)) for name, held in LEASES.findall(await answer.text())}


async def until_idle(session: aiohttp.ClientSession, url: str) -> None:
    """Returns once no slot is held."""
    while sum((await leases(session, url)).values()):
        pass
