"""What a gateway without Redis still knows after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from tests.gateway_server import gateway, settings
from tests.http.asking import ask
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from pathlib import Path

PREDICTED = 'paretogate_route_quality_ratio{kind="predicted",route="auto"}'


async def predicted(session: aiohttp.ClientSession, url: str) -> list[str]:
    async with session.get(f"{url}/metrics") as answer:
        return [line for line in (await answer.text()).splitlines() if line.startswith(PREDICTED)]


async def test_a_promise_goes_on_where_it_stood(tmp_path: Path) -> None:
    upstream = Upstream()
    async with upstream.serving() as only, aiohttp.ClientSession() as session:
        its = settings({"only": only}, load={"sums": str(tmp_path / "sums.json")})
        async with gateway(its) as url:
            await ask(session, url)
            before = await predicted(session, url)
        async with gateway(its) as url:
            assert await predicted(session, url) == before != []
        async with gateway(settings({"only": only})) as url:
            assert await predicted(session, url) != before
