"""A configuration is changed while queries run: each goes on by what it was begun with, and the next by what is new."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from gateway.app import Gateway
from gateway.errors import ConfigurationError
from tests.gateway_server import leases, serving, settings, until_idle
from tests.http.asking import ask, chat
from tests.upstream_app import DONE, delta, failed, plain_stream, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import Settings
    from tests.upstream_app import Upstream

ONE_SLOT: dict[str, object] = {"capacity": {"concurrency": 1}}


class House:
    """A gateway before two upstreams, and its URL."""

    def __init__(self, gateway: Gateway, url: str, urls: dict[str, str]) -> None:
        self.gateway = gateway
        self.url = url
        self.urls = urls

    async def become(self, *models: str, **more: Any) -> bool:  # noqa: ANN401 - sections of any shape
        return await self.gateway.reload(lambda: self.settings(*models, **more))

    def settings(self, *models: str, **more: Any) -> Settings:  # noqa: ANN401
        return settings({name: self.urls[name] for name in models}, **more)


@pytest.fixture
async def house(cheap: Upstream, dear: Upstream) -> AsyncIterator[House]:
    async with cheap.serving() as first, dear.serving() as second:
        gateway = Gateway(settings({"cheap": first, "dear": second}))
        async with serving(gateway) as url:
            yield House(gateway, url, {"cheap": first, "dear": second})


@pytest.fixture
async def session(house: House) -> AsyncIterator[aiohttp.ClientSession]:  # noqa: ARG001 - closed before the gateway
    async with aiohttp.ClientSession() as opened:
        yield opened


async def metric(session: aiohttp.ClientSession, url: str, name: str) -> float:
    async with session.get(f"{url}/metrics") as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", await answer.text(), re.MULTILINE)
    assert found, name
    return float(found[1])


async def test_a_stream_goes_on_at_an_endpoint_that_is_gone(
    house: House, session: aiohttp.ClientSession, cheap: Upstream
) -> None:
    go_on = asyncio.Event()
    cheap.then(stream(delta("one"), go_on, delta("two", finish="stop"), DONE))
    async with session.post(f"{house.url}/v1/chat/completions", json=chat(stream=True)) as answer:
        await answer.content.readuntil(b"one")
        decision = answer.headers["x-paretogate-decision"]
        assert await house.become("dear")
        assert (await ask(session, house.url)).headers["x-paretogate-model"] == "dear"
        assert (await leases(session, house.url))["cheap-1"] == 1
        go_on.set()
        rest = await answer.read()
    assert b"two" in rest
    assert rest.endswith(DONE)
    await until_idle(session, house.url)  # its lease is freed
    assert (await ask(session, house.url, chat("cheap"))).status == 404
    async with session.get(f"{house.url}/v1/decisions/{decision}") as told:
        assert (await told.json())["endpoint"] == "cheap-1"  # told by the names that it was made with
    async with session.get(f"{house.url}/v1/models") as told:
        assert [each["id"] for each in (await told.json())["data"]] == ["auto", "dear"]


async def test_whoever_waits_is_served_by_what_it_waited_for(
    house: House, session: aiohttp.ClientSession, cheap: Upstream
) -> None:
    go_on = asyncio.Event()
    assert await house.become("cheap", each=ONE_SLOT)
    cheap.then(stream(delta("one"), go_on, delta("two", finish="stop"), DONE), plain_stream())
    async with session.post(f"{house.url}/v1/chat/completions", json=chat(stream=True)) as first:
        await first.content.readuntil(b"one")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(ask(session, house.url, chat(stream=True)))
            while await metric(session, house.url, "paretogate_waiting_queries") < 1:
                pass
            assert await house.become("dear")
            go_on.set()
    assert waiting.result().headers["x-paretogate-endpoint"] == "cheap-1"
    await until_idle(session, house.url)


async def test_leases_of_an_endpoint_that_stays_are_kept_and_a_new_capacity_holds_at_once(
    house: House, session: aiohttp.ClientSession, cheap: Upstream
) -> None:
    go_on = asyncio.Event()
    cheap.then(stream(delta("one"), go_on, delta("two", finish="stop"), DONE), plain_stream())
    async with session.post(f"{house.url}/v1/chat/completions", json=chat("cheap", stream=True)) as first:
        await first.content.readuntil(b"one")
        assert await house.become("cheap", each=ONE_SLOT, queue={"max_wait_s": 0})
        assert await leases(session, house.url) == {"cheap-1": 1, "dear-1": 0}
        assert (await ask(session, house.url, chat("cheap"))).status == 429
        assert await house.become("cheap", each={"capacity": {"concurrency": 2}})
        assert (await ask(session, house.url, chat("cheap", stream=True))).status == 200
        go_on.set()
        await first.read()
    await until_idle(session, house.url)


async def test_a_breaker_stays_open_unless_its_endpoint_is_another(
    house: House, session: aiohttp.ClientSession, cheap: Upstream
) -> None:
    cheap.then(failed(401))  # its key is refused: out for a minute
    assert (await ask(session, house.url, chat("cheap"))).status == 502
    assert await house.become("cheap", "dear", each={"capacity": {"concurrency": 3}})
    state = 'paretogate_endpoint_state{endpoint="cheap-1",state="open"}'
    assert await metric(session, house.url, state) == 1
    assert (await ask(session, house.url, chat("cheap"))).status == 503
    cheap.then(plain_stream())
    assert await house.become("cheap", "dear", each={"api_key": "a-new-one"})
    assert await metric(session, house.url, state) == 0
    assert (await ask(session, house.url, chat("cheap", stream=True))).status == 200


async def test_another_promise_holds_at_once_and_its_sums_are_kept(
    house: House, session: aiohttp.ClientSession
) -> None:
    def routes(objective: dict[str, float]) -> dict[str, object]:
        return {"routes": [{"name": "auto", "objective": objective}]}

    assert await house.become("cheap", "dear", **routes({"min_quality": 0.1}))
    for _ in range(3):
        assert (await ask(session, house.url)).headers["x-paretogate-model"] == "cheap"
    before = house.gateway.current.promises
    assert before
    [kept] = before
    sums = await kept.sums()
    assert sums.n == pytest.approx(3, abs=0.1)
    assert await house.become("cheap", "dear", **routes({"min_quality": 0.7}))
    assert house.gateway.current.promises
    [kept] = house.gateway.current.promises
    assert await kept.sums() == sums
    assert (await ask(session, house.url)).headers["x-paretogate-model"] == "dear"


async def test_what_cannot_be_taken_up_changes_nothing(
    house: House, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Settings:
        raise ConfigurationError("gateway.yaml: windows: unknown key; did you mean window?")

    loaded = await metric(session, house.url, "paretogate_config_loaded_timestamp_seconds")
    with caplog.at_level(logging.ERROR, "gateway"):
        assert not await house.gateway.reload(broken)
        assert not await house.become("dear", predictor={"artifact": "/nowhere"})
        assert not await house.become("dear", load={"prefix": "other"})
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3  # each is told once, with its place and its mend
    assert "did you mean window?" in messages[0]
    assert "predictor.artifact" in messages[1]
    assert "load: " in messages[2]
    assert (await ask(session, house.url)).headers["x-paretogate-model"] == "cheap"
    assert await metric(session, house.url, 'paretogate_config_reloads_total{result="failure"}') == 3
    assert await metric(session, house.url, "paretogate_config_reload_successful") == 0
    assert await metric(session, house.url, "paretogate_config_loaded_timestamp_seconds") == loaded
    assert await house.become("dear")
    assert await metric(session, house.url, "paretogate_config_reload_successful") == 1
    assert await metric(session, house.url, 'paretogate_config_reloads_total{result="success"}') == 1
    new = house.settings("dear").fingerprint
    assert await metric(session, house.url, f'paretogate_config_info{{hash="{new}"}}') == 1


async def test_many_reloads_under_load_lose_nothing(house: House, session: aiohttp.ClientSession) -> None:
    statuses: list[int] = []

    async def client() -> None:
        for _ in range(10):
            status = (await ask(session, house.url)).status
            statuses.append(status)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(client())
        for turn in range(6):
            assert await house.become(*(("dear",) if turn % 2 else ("cheap", "dear")))
    assert statuses == [200] * 80
    await until_idle(session, house.url)
