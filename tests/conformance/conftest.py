"""A gateway as clients see it: in front of scripted upstreams, on the loop that it ships with."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
def upstream() -> Upstream:
    """Serves the only model, `cheap`."""
    return Upstream()


@pytest.fixture
async def url(upstream: Upstream) -> AsyncIterator[str]:
    """What a client takes as `base_url`."""
    async with upstream.serving() as direct, gateway(settings({"cheap": direct})) as served:
        yield f"{served}/v1"
