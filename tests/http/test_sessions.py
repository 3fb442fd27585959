"""`routing.session`: a conversation stays on the replica that served it, whichever has more room."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gateway.settings import from_tree
from tests.gateway_server import gateway
from tests.http.asking import ask, chat
from tests.upstream_app import Play, Upstream, completion, whole

ENDPOINT = "x-paretogate-endpoint"


@pytest.mark.parametrize("target", ["auto", "m"])
async def test_a_session_stays_where_it_began(target: str) -> None:
    one, two, gate = Upstream(), Upstream(), asyncio.Event()
    one.then(Play([gate, *whole(completion()).steps]), whole(completion()))
    two.then(Play([gate, *whole(completion()).steps]), whole(completion()))
    async with one.serving() as first, two.serving() as second:
        urls = {"a": first, "b": second}
        tree = {
            "version": 1,
            "models": [{"name": "m", "price": {"input": 1, "output": 1}}],
            "endpoints": [{"name": name, "model": "m", "url": url} for name, url in urls.items()],
        }
        mine = chat(target, routing={"session": "mine"})
        async with gateway(from_tree(tree, {}, source="test")) as url, aiohttp.ClientSession() as session:
            async with asyncio.TaskGroup() as group:
                group.create_task(ask(session, url, chat(target)))
                _, pending = await asyncio.wait(
                    [group.create_task(each.reached()) for each in (one, two)], return_when=asyncio.FIRST_COMPLETED
                )
                begun = group.create_task(ask(session, url, mine))  # the other replica has more room
                await asyncio.wait(pending)
                gate.set()
            home = begun.result().headers[ENDPOINT]
            for _ in range(6):
                assert (await ask(session, url, mine)).headers[ENDPOINT] == home
