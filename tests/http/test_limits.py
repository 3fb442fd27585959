"""A key's rates and budget, as its client meets them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.gateway_server import gateway, settings, until_idle
from tests.http.asking import ask, chat
from tests.http.keyed import bearer, key
from tests.upstream_app import STALL, completion, delta, failed, stream, whole

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.upstream_app import Upstream

ADMIN = key("ops", admin=True)
USAGE = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}  # 0.002 USD at 1 USD per million
MODELS: dict[str, dict[str, object]] = {"cheap": {"prior": {"quality": 0.6, "output_tokens": 1000}}}


def limited(upstream: str, **limits: Any) -> AbstractAsyncContextManager[str]:  # noqa: ANN401 - of any shape
    return gateway(settings({"cheap": upstream}, models=MODELS, keys=[key("shop", **limits), ADMIN]))


async def metric(session: aiohttp.ClientSession, url: str, name: str) -> float:
    async with session.get(f"{url}/metrics", headers=bearer("ops")) as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", await answer.text(), re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_requests_per_minute(cheap: Upstream, session: aiohttp.ClientSession) -> None:
    async with cheap.serving() as upstream, limited(upstream, requests_per_minute=2) as url:
        assert [(await ask(session, url, headers=bearer("shop"))).status for _ in range(2)] == [200, 200]
        got = await ask(session, url, headers=bearer("shop"))
        assert (got.status, got.error["type"], got.error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
        assert 0 < int(got.headers["retry-after"]) <= 65
        assert 0 < int(got.headers["retry-after-ms"]) <= 65_000
        assert got.headers["x-should-retry"] == "true"
        assert got.headers["x-ratelimit-limit-requests"] == "2"
        assert got.headers["x-ratelimit-remaining-requests"] == "0"
        assert got.headers["x-ratelimit-reset-requests"].endswith("s")
        assert len(cheap.asked) == 2
        assert await metric(session, url, 'paretogate_key_rejections_total{key="shop",reason="rate"}') == 1
        assert (await ask(session, url, headers=bearer("ops"))).status == 200  # another key has its own


async def test_tokens_per_minute_are_settled_by_usage(cheap: Upstream, session: aiohttp.ClientSession) -> None:
    cheap.then(whole(completion(usage=USAGE)))
    async with cheap.serving() as upstream, limited(upstream, tokens_per_minute=3500) as url:
        statuses = [(await ask(session, url, headers=bearer("shop"))).status for _ in range(2)]
        assert statuses == [200, 200]  # 1,000 are expected of each, 2,000 come
        got = await ask(session, url, headers=bearer("shop"))
        assert got.status == 429
        assert got.headers["x-ratelimit-limit-tokens"] == "3500"
        assert len(cheap.asked) == 2


async def test_a_budget_is_spent_once_and_then_nothing_helps(cheap: Upstream, session: aiohttp.ClientSession) -> None:
    cheap.then(whole(completion(usage=USAGE)))
    async with cheap.serving() as upstream, limited(upstream, budget={"usd": 0.01, "per": "day"}) as url:
        statuses = []
        while 429 not in statuses:
            got = await ask(session, url, headers=bearer("shop"))
            statuses.append(got.status)
        assert statuses == [200] * 3 + [429]  # 0.006 USD are spent, and a fourth may cost 0.0044
        assert (got.error["type"], got.error["code"]) == ("insufficient_quota", "insufficient_quota")
        assert got.headers["x-should-retry"] == "false"
        assert "retry-after" not in got.headers
        assert await metric(session, url, 'paretogate_key_spend_usd_total{key="shop"}') == pytest.approx(0.006)
        assert await metric(session, url, 'paretogate_key_remaining_usd{key="shop"}') == pytest.approx(0.004)
        assert await metric(session, url, 'paretogate_key_rejections_total{key="shop",reason="budget"}') == 1
        await until_idle_as_admin(url)


async def test_what_was_not_answered_is_not_charged(cheap: Upstream, session: aiohttp.ClientSession) -> None:
    cheap.then(failed(400))
    async with cheap.serving() as upstream, limited(upstream, budget={"usd": 0.005, "per": "day"}) as url:
        assert [(await ask(session, url, headers=bearer("shop"))).status for _ in range(3)] == [400] * 3
        assert await metric(session, url, 'paretogate_key_remaining_usd{key="shop"}') == pytest.approx(0.005)


async def test_a_client_that_leaves_pays_for_what_was_delivered(
    cheap: Upstream, session: aiohttp.ClientSession
) -> None:
    cheap.then(stream(*map(delta, ["one", "two"]), STALL))
    async with cheap.serving() as upstream, limited(upstream, budget={"usd": 1, "per": "month"}) as url:
        async with session.post(f"{url}/v1/chat/completions", json=chat(stream=True), headers=bearer("shop")) as answer:
            await answer.content.readuntil(b"two")
            answer.close()
        await (await cheap.reached()).gone.wait()
        await until_idle_as_admin(url)
        spent = 1 - await metric(session, url, 'paretogate_key_remaining_usd{key="shop"}')
        assert 0 < spent < 0.0001  # the reservation of 1,000 tokens was given back


async def test_strangers_are_counted_under_no_name_of_theirs(cheap: Upstream, session: aiohttp.ClientSession) -> None:
    async with cheap.serving() as upstream, limited(upstream) as url:
        for name in ("mallory", "eve"):
            await ask(session, url, headers=bearer(name))
        await ask(session, url, chat("dear"), headers=bearer("shop"))
        assert await metric(session, url, 'paretogate_key_rejections_total{key="other",reason="unknown"}') == 2


@pytest.fixture
async def session() -> Any:  # noqa: ANN401 - the shared one opens a gateway too
    async with aiohttp.ClientSession() as opened:
        yield opened


async def until_idle_as_admin(url: str) -> None:
    async with aiohttp.ClientSession(headers=bearer("ops")) as session:
        await until_idle(session, url)
