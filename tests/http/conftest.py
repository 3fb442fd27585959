"""The loop that the gateway runs on, and what most tests need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
import uvloop

from tests.gateway_server import gateway, settings
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def cheap() -> Upstream:
    """The upstream of the cheapest model, `cheap`."""
    return Upstream()


@pytest.fixture
def dear() -> Upstream:
    """The upstream of the other model, `dear`."""
    return Upstream()


@pytest.fixture
async def url(cheap: Upstream, dear: Upstream) -> AsyncIterator[str]:
    """A gateway in front of both, with the route `auto` that prefers the cheaper."""
    async with (
        cheap.serving() as first,
        dear.serving() as second,
        gateway(settings({"cheap": first, "dear": second})) as served,
    ):
        yield served


@pytest.fixture
async def session(url: str) -> AsyncIterator[aiohttp.ClientSession]:  # noqa: ARG001 - closed before the gateway
    async with aiohttp.ClientSession() as opened:
        yield opened
