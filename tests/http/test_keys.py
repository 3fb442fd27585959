"""Who may call, what they may use, and what of the gateway they may see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.gateway_server import gateway, settings
from tests.http.asking import Got, ask, chat
from tests.http.keyed import bearer, key, token
from tests.upstream_app import completion, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.upstream_app import Upstream

KEYS = [
    key("shop", routes=["auto"], models=["cheap"], priority=0),
    key("lab", models=["dear"]),
    key("ops", admin=True),
]
WRONG = {
    "no header": {},
    "an empty one": {"authorization": ""},
    "no scheme": {"authorization": token("shop")},
    "another scheme": {"authorization": f"Basic {token('shop')}"},
    "no token": {"authorization": "Bearer "},
    "a wrong end": {"authorization": f"Bearer {token('shop')[:-1]}X"},
    "a part of one": {"authorization": f"Bearer {token('shop')[:-1]}"},
    "one and more": {"authorization": f"Bearer {token('shop')}X"},
    "its hash": {"authorization": f"Bearer {key('shop')['hash']}"},
}


@pytest.fixture
async def url(cheap: Upstream, dear: Upstream) -> AsyncIterator[str]:
    """As the shared one, with keys."""
    async with cheap.serving() as first, dear.serving() as second:
        its = settings({"cheap": first, "dear": second}, keys=KEYS)
        async with gateway(its) as served:
            yield served


async def get(session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> Got:
    async with session.get(url, headers=headers or {}) as answer:
        return Got(answer.status, answer.headers, await answer.read())


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_without_its_whole_key_nobody_is_let_in(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, headers: dict[str, str]
) -> None:
    for got in (await ask(session, url, headers=headers), await get(session, f"{url}/v1/models", headers)):
        assert got.status == 401
        assert (got.error["type"], got.error["code"]) == ("invalid_request_error", "invalid_api_key")
        assert got.headers["www-authenticate"] == "Bearer"
        assert got.headers["x-should-retry"] == "false"
        assert "x-request-id" in got.headers
        assert token("shop") not in got.body.decode()
    assert cheap.asked == []


async def test_a_strangers_body_is_not_read(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_key_is_served_and_its_token_goes_no_further(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, scheme: str
) -> None:
    got = await ask(session, url, headers={"authorization": f"{scheme} {token('shop')}"})
    assert got.status == 200
    assert token("shop") not in str(cheap.asked[-1].headers)


async def test_a_key_uses_its_own_routes_and_models(url: str, session: aiohttp.ClientSession) -> None:
    for name, model, answered in (("shop", "auto", "cheap"), ("shop", "cheap", "cheap"), ("lab", "auto", "dear")):
        got = await ask(session, url, chat(model), headers=bearer(name))
        assert got.headers["x-paretogate-model"] == answered
    got = await ask(session, url, chat("dear"), headers=bearer("shop"))
    assert (got.status, got.error["type"], got.error["param"]) == (403, "permission_error", "model")
    assert "dear" in got.error["message"]


async def test_a_key_hears_of_its_own_models_alone(url: str, session: aiohttp.ClientSession) -> None:
    async def listed(name: str) -> list[str]:
        got = await get(session, f"{url}/v1/models", bearer(name))
        return [model["id"] for model in got.json["data"]]

    assert await listed("shop") == ["auto", "cheap"]
    assert await listed("lab") == ["auto", "dear"]
    assert await listed("ops") == ["auto", "cheap", "dear"]
    assert (await get(session, f"{url}/v1/models/dear", bearer("shop"))).status == 403
    unknown = await ask(session, url, chat("deer"), headers=bearer("shop"))
    assert unknown.status == 404
    assert "dear" not in unknown.error["message"]


async def test_failover_stays_within_the_keys_models(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, dear: Upstream
) -> None:
    cheap.then(whole({"error": "no"}, 500))
    got = await ask(session, url, headers=bearer("shop"))
    assert got.status == 502
    assert dear.asked == []


async def test_decisions_are_for_their_own_key_and_for_admins(url: str, session: aiohttp.ClientSession) -> None:
    mine = (await ask(session, url, headers=bearer("shop"))).headers["x-paretogate-decision"]
    await ask(session, url, headers=bearer("lab"))
    place = f"{url}/v1/decisions/{mine}"
    assert [(await get(session, place, bearer(name))).status for name in ("shop", "lab", "ops")] == [200, 404, 200]

    async def seen(name: str) -> list[str]:
        got = await get(session, f"{url}/v1/decisions", bearer(name))
        return [each["model"] for each in got.json["data"]]

    assert await seen("shop") == ["cheap"]
    assert await seen("ops") == ["dear", "cheap"]

    async def told(name: str) -> int:
        body = {"decision_id": mine, "score": 1}
        return (await ask(session, url, body, path="/v1/feedback", headers=bearer(name))).status

    assert [await told(name) for name in ("lab", "shop")] == [404, 200]


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_metrics_are_for_admins_and_probes_for_everybody(
    url: str, session: aiohttp.ClientSession, prefix: str
) -> None:
    place = f"{url}{prefix}/metrics"
    assert [(await get(session, place, bearer(name))).status for name in ("shop", "ops")] == [403, 200]
    assert (await get(session, place)).status == 401
    assert [(await get(session, f"{url}{prefix}{path}")).status for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.parametrize("path", ["/v1/overview", "/openapi.json", "/v1/nothing", "/docs", "/v1/chat/completions"])
async def test_a_stranger_is_not_told_which_paths_there_are(
    url: str, session: aiohttp.ClientSession, path: str
) -> None:
    assert (await get(session, url + path)).status == 401


async def test_without_keys_any_authorization_is_accepted(cheap: Upstream) -> None:
    cheap.then(whole(completion()))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream})) as url,
        aiohttp.ClientSession() as session,
    ):
        asked: list[Any] = [await ask(session, url, headers=headers) for headers in WRONG.values()]
        assert {got.status for got in asked} == {200}
        assert (await get(session, f"{url}/metrics")).status == 200


async def test_the_log_keeps_a_decision_for_its_own_key_too(cheap: Upstream, tmp_path: Path) -> None:
    log = {"url": f"sqlite:///{tmp_path}/log.sqlite"}
    async with cheap.serving() as upstream, aiohttp.ClientSession() as session:
        async with gateway(settings({"cheap": upstream}, keys=[key("shop"), key("till")], log=log)) as url:
            asked = await ask(session, url, headers=bearer("shop"))
        async with gateway(settings({"cheap": upstream}, keys=[key("shop"), key("till")], log=log)) as url:
            decision = asked.headers["x-paretogate-decision"]
            feedback = {"decision_id": decision, "score": 1.0}
            for name, status in (("till", 404), ("shop", 200)):
                place = f"{url}/v1/decisions/{decision}"
                assert (await get(session, place, bearer(name))).status == status
                given = await ask(session, url, feedback, path="/v1/feedback", headers=bearer(name))
                assert given.status == status
