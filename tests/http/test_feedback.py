"""Feedback through the real server: counted once, late or twice, in memory and in the log."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from gateway.feedback.store import Store
from tests.gateway_server import gateway, settings
from tests.http.asking import ask, chat
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

COUNTED = re.compile(r'^paretogate_feedback_total\{model="cheap",route="auto"\} (\S+)$', re.MULTILINE)


class Client:
    """One gateway's client."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def decide(self) -> str:
        return (await ask(self.session, self.url)).headers["x-paretogate-decision"]

    async def score(self, decision: str, **given: object) -> tuple[int, Any]:
        got = await ask(self.session, self.url, {"decision_id": decision, **given}, path="/v1/feedback")
        return got.status, got.json

    async def see(self, decision: str) -> tuple[int, Any]:
        async with self.session.get(f"{self.url}/v1/decisions/{decision}") as answer:
            return answer.status, await answer.json()

    async def counted(self) -> float:
        async with self.session.get(f"{self.url}/metrics") as answer:
            found = COUNTED.search(await answer.text())
            return float(found[1]) if found else 0.0


@asynccontextmanager
async def client(log_url: str = "", *, memory: int = 100) -> AsyncIterator[Client]:
    async with (
        Upstream().serving() as upstream,
        gateway(settings({"cheap": upstream}, log={"url": log_url}, server={"decisions": memory})) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, url)


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.sqlite"


async def test_the_same_score_twice_counts_once(log_url: str) -> None:
    for url in ("", log_url):
        async with client(url) as its:
            decision = await its.decide()
            first = await its.score(decision, score=0.5)
            assert first == await its.score(decision, score=0.5)
            assert first == (200, {"object": "feedback", "decision_id": decision, "score": 0.5})
            assert await its.counted() == 1


async def test_another_score_is_refused_and_the_first_stays(log_url: str) -> None:
    for url in ("", log_url):
        async with client(url) as its:
            decision = await its.decide()
            assert (await its.score(decision, label=True))[0] == 200
            status, told = await its.score(decision, score=0.0)
            assert (status, told["error"]["code"], told["error"]["param"]) == (409, "feedback_conflict", "score")
            assert (await its.score(decision, score=1.0))[0] == 200
            assert await its.counted() == 1


async def test_a_decision_that_memory_has_lost_is_found_in_the_log(log_url: str) -> None:
    async with client(log_url, memory=1) as its:
        decision = await its.decide()
        before = (await its.see(decision))[1]
        await its.decide()
        assert (await its.score(decision, score=1.0))[0] == 200  # waits until it is written
        assert await its.see(decision) == (200, before)
        assert await its.counted() == 1
        assert (await its.score(decision, score=1.0))[0] == 200
        assert (await its.score(decision, score=0.0))[0] == 409
        assert await its.counted() == 1


async def test_feedback_and_decisions_survive_a_restart(log_url: str) -> None:
    async with client(log_url) as its:
        scored, fresh = await its.decide(), await its.decide()
        await its.score(scored, score=1.0)
        before = (await its.see(fresh))[1]
    async with client(log_url) as its:
        assert await its.see(fresh) == (200, before)
        assert (await its.score(fresh, score=0.25))[0] == 200
        assert (await its.score(scored, score=1.0))[0] == 200
        assert await its.counted() == 1  # the other one was counted before
    store = Store(log_url)
    assert {row["id"]: row["score"] for row in store.rows()} == {scored: 1.0, fresh: 0.25}
    store.close()


async def test_late_feedback_moves_the_promise(log_url: str) -> None:
    bias = re.compile(r'^paretogate_route_bias_ratio\{route="auto"\} (\S+)$', re.MULTILINE)
    async with client(log_url, memory=1) as its:
        decisions = [await its.decide() for _ in range(10)]
        for decision in decisions:
            await its.score(decision, score=0.0)
        async with its.session.get(f"{its.url}/metrics") as answer:
            found = bias.search(await answer.text())
    assert found is not None
    assert float(found[1]) == pytest.approx(-10 * 0.6 / 110, rel=0.01)  # ten misses of 0.6 beside 100 of the prior


async def test_what_is_not_kept_cannot_be_scored(log_url: str) -> None:
    async with client(log_url) as its:
        status, told = await its.score("dec_unknown", score=1.0)
        assert (status, told["error"]["param"]) == (404, "decision_id")
        assert (await its.see("dec_unknown"))[0] == 404


async def test_a_log_that_cannot_be_opened_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with client(f"sqlite:///{tmp_path}/file/log.sqlite") as its:
        decision = await its.decide()
        assert (await its.score(decision, score=1.0))[0] == 200
        assert (await its.score(decision, score=0.0))[0] == 409
        assert await its.counted() == 1
        status, told = await its.see("dec_unknown")
        assert (status, told["error"]["code"]) == (503, "log_unavailable")
        assert (await ask(its.session, its.url, chat(stream=False))).status == 200
