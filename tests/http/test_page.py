"""The page in a real browser: it shows what the overview says, on a phone, in the dark, by keyboard and behind keys."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.browser import CHROMIUM, chromium
from tests.gateway_server import gateway, settings
from tests.http.asking import ask, chat
from tests.http.keyed import bearer, key, token
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.browser import Page

HOSTILE = "<img src=x onerror=alert(1)>"
LIVE = "document.getElementById('state')?.textContent === 'live'"
ROUTES = [
    {"name": "auto", "objective": {"min_quality": 0.65}},
    {"name": "thrift", "objective": {"max_cost_per_1k": 0.5}},
]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; tests/servers.sh installs it")
    async with chromium() as opened:
        yield opened


@asynccontextmanager
async def shop(**sections: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:  # noqa: ANN401 - of any shape
    """A gateway with two models, of which one has a name that would be markup."""
    async with (
        Upstream().serving() as first,
        Upstream().serving() as second,
        gateway(settings({"cheap": first, HOSTILE: second}, **{"routes": ROUTES, **sections})) as url,
        aiohttp.ClientSession() as session,
    ):
        yield url, session


async def overview(session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    async with session.get(f"{url}/v1/overview", headers=headers) as answer:
        return await answer.json()


async def used(session: aiohttp.ClientSession, url: str) -> None:
    """Some of everything."""
    for model in ("auto", "auto", "thrift", HOSTILE):
        got = await ask(session, url, chat(model))
        assert got.status == 200, got.body
    first = await ask(session, url, chat("auto"))
    await ask(session, url, {"decision_id": first.headers["x-paretogate-decision"], "score": 1}, path="/v1/feedback")
    assert (await ask(session, url, chat("nobody"))).status == 404


async def test_it_shows_what_the_overview_says(page: Page) -> None:
    async with shop() as (url, session):
        await used(session, url)
        told = await overview(session, url)
        await page.open(url)
        await page.until(LIVE)
        text = await page.js("document.body.innerText")
        for model in told["models"]:
            assert model["name"] in text
        for route in told["routes"]:
            assert f"{100 * route['quality']['expected']:.1f} %" in text
        assert (await page.js("document.querySelectorAll('#cards dd')[6].textContent")) == "5"
        assert (await page.js("document.querySelectorAll('.route .badge')[0].textContent")) == "checked by feedback"
        assert (await page.js("document.querySelectorAll('.route .badge')[1].textContent")) == "predicted only"
        assert (await page.js("document.querySelectorAll('#decisions details').length")) == len(told["decisions"]) == 5
        assert (await page.js("document.querySelectorAll('#plane circle.single').length")) == 2
        assert f"curl {url}/v1/chat/completions" in text
        assert told["config"] in text
        assert await page.js("document.querySelectorAll('main img').length") == 0  # no name has become markup
        assert page.complaints == []


async def test_it_fits_a_phone_and_both_schemes(page: Page) -> None:
    async with shop() as (url, session):
        await used(session, url)
        for width, dark in product((390, 1280), (False, True)):
            await page.open(url, width=width, height=844, dark=dark)
            await page.until(LIVE)
            assert await page.js("document.documentElement.scrollWidth") == width
            ground = await page.js("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground.removeprefix("rgb(").rstrip(")").split(","))) < 200) is dark
            assert (await page.picture()).startswith(b"\x89PNG")
        assert page.complaints == []


async def test_a_keyboard_is_enough(page: Page) -> None:
    async with shop() as (url, session):
        await used(session, url)
        await page.open(url)
        await page.until(LIVE)
        met = []
        for _ in range(6):
            await page.key("Tab", 9)
            met.append(await page.js("document.activeElement.id || document.activeElement.className || 'other'"))
            ringed = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
            assert await page.js(f"document.activeElement.tagName === 'SELECT' || {ringed}")
        assert met[:2] == ["skip", "route"]
        await page.js("document.querySelector('summary').focus()")
        await page.key("Enter", 13)
        assert await page.js("document.querySelector('details').open")
        await page.js("look()")  # another look neither closes it nor takes the focus away
        assert await page.js("document.querySelector('details').open && document.activeElement.tagName") == "SUMMARY"


async def test_it_keeps_looking_and_says_when_the_gateway_is_gone(page: Page) -> None:
    async with shop() as (url, session):
        await page.open(url)
        await page.until(LIVE)
        assert "None yet" in await page.js("document.getElementById('decisions').textContent")
        await used(session, url)
        await page.until("document.querySelectorAll('#decisions details').length === 5")
    await page.until("document.getElementById('state').textContent === 'not reachable'")


async def test_behind_keys_it_asks_for_an_admins(page: Page) -> None:
    async with shop(keys=[key("shop"), key("ops", admin=True)]) as (url, session):
        await page.open(url)
        await page.until("document.getElementById('gate')?.hidden === false")
        enter = "document.getElementById('key').value = {!r}; document.getElementById('gate').requestSubmit()"
        await page.js(enter.format(token("shop")))
        await page.until("document.getElementById('refused').textContent.includes('not an admin')")
        assert await page.js("document.getElementById('figures').hidden")
        await page.js(enter.format(token("ops")))
        await page.until(LIVE)
        assert token("ops") not in await page.js("document.documentElement.outerHTML")
        for name, status in (("shop", 403), ("ops", 200)):
            async with session.get(f"{url}/v1/overview", headers=bearer(name)) as answer:
                assert answer.status == status


async def test_its_files_come_with_a_strict_policy() -> None:
    async with shop() as (url, session):
        for path, kind in (("/", "html"), ("/page.js", "javascript"), ("/page.css", "css"), ("/page.svg", "svg")):
            async with session.get(url + path) as answer:
                body = await answer.text()
                assert answer.status == 200
                assert kind in answer.headers["content-type"]
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert "https://" not in body  # works offline
            assert "innerHTML" not in body


async def test_the_overview_holds_no_prompt_no_key_and_no_address() -> None:
    secret = {"api_key": "sk-very-secret"}
    async with shop(each=secret) as (url, session):
        await ask(session, url, chat("auto", messages=[{"role": "user", "content": "my diary"}]))
        told = json.dumps(await overview(session, url))
    assert len(told) < 20_000
    for hidden in ("my diary", "sk-very-secret", "127.0.0.1"):
        assert hidden not in told
