"""What a gateway without Redis still knows after a restart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from gateway.app import Gateway
from tests.gateway_server import gateway, serving, settings
from tests.http.asking import ask
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.settings import Settings

PREDICTED = 'paretogate_route_quality_ratio{kind="predicted",route="auto"}'


async def predicted(session: aiohttp.ClientSession, url: str) -> list[str]:
    async with session.get(f"{url}/metrics") as answer:
        return [line for line in (await answer.text()).splitlines() if line.startswith(PREDICTED)]


def _same(its: Settings) -> Settings:
    return its


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


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


async def test_a_reload_opens_no_second_file_of_promises(tmp_path: Path) -> None:
    """Two keepers of one file would write over each other's sums; another name is refused."""
    kept, other = tmp_path / "sums.json", tmp_path / "other.json"
    upstream = Upstream()
    async with upstream.serving() as only, aiohttp.ClientSession() as session:
        its = settings({"only": only}, load={"sums": str(kept)})
        elsewhere = settings({"only": only}, load={"sums": str(other)})
        served = Gateway(its)
        async with serving(served) as url:
            for then in (its, elsewhere, its):
                await ask(session, url)
                assert await served.reload(partial(_same, then)) == (then is its)
            await ask(session, url)
            before = await predicted(session, url)
        [sums] = msgspec.json.decode(kept.read_bytes())["sums"].values()
        assert 3.9 < sums["n"] <= 4  # what is older fades
        assert _names(tmp_path) == ["sums.json"]
        async with gateway(its) as url:
            assert await predicted(session, url) == before != []
