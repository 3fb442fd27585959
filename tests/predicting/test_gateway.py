"""The whole gateway with a predictor service: the same decisions as with the artifact itself, and never none."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from gateway.app import Gateway
from gateway.predicting.arrays import unpack
from gateway.predicting.client import MISSES
from gateway.predicting.wire import question
from predictors.base import Prompt
from tests.gateway_server import serving, settings
from tests.predicting.services import Scripted, artifact, free_ports, reply, service, until
from tests.running import running
from tests.upstream_app import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LISTENING = re.compile(r"running on (http://\S+)")
PARETOGATE = (sys.executable, "-m", "gateway")


class Asking:
    """A client of a gateway before two upstreams."""

    def __init__(self, session: aiohttp.ClientSession, url: str, running: Gateway) -> None:
        self._session = session
        self._url = url
        self.gateway = running

    async def source(self, text: str) -> str:
        """How a query was decided, which must be answered."""
        return str((await self.decision(text))["source"])

    async def decision(self, text: str) -> dict[str, Any]:
        body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200, await answer.text()
            name = answer.headers["x-paretogate-decision"]
        async with self._session.get(f"{self._url}/v1/decisions/{name}") as answer:
            told: dict[str, Any] = await answer.json()
            return told

    def count(self, result: str) -> float:
        return self.gateway.metrics.registry.get_sample_value("paretogate_predictions_total", {"result": result}) or 0


@asynccontextmanager
async def gateway(predictor: dict[str, object], **sections: Any) -> AsyncIterator[Asking]:  # noqa: ANN401 - of any shape
    async with Upstream().serving() as cheap, Upstream().serving() as dear:
        names: dict[str, dict[str, object]] = {name: {"prior": None} for name in ("cheap", "dear")}
        its = Gateway(settings({"cheap": cheap, "dear": dear}, models=names, predictor=predictor, **sections))
        async with serving(its) as url, aiohttp.ClientSession() as session:
            yield Asking(session, url, its)


async def test_a_query_is_decided_by_the_service() -> None:
    async with service(artifact()) as url, gateway({"url": url}) as asking:
        decision = await asking.decision("0.4 hello")
        assert decision["source"] == "predicted"
        quality = {each["model"]: each["quality"] for each in decision["estimates"]}
        assert quality == pytest.approx({"cheap": 0.4, "dear": 0.7}, abs=1e-3)
        assert await asking.source("0.4 hello") == "predicted"
        assert (asking.count("computed"), asking.count("cached")) == (1, 1)


async def test_without_the_service_it_starts_and_serves_and_takes_it_up_when_it_comes() -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    promise = [{"name": "auto", "objective": {"min_quality": 0.7}}]
    async with gateway({"url": url}, routes=promise) as asking:
        assert await asking.source("0.4 hello") == "prior"
        assert asking.count("away") == 1
        async with service(artifact(), port=port):

            async def predicted() -> bool:
                return await asking.source("0.4 hello") == "predicted"

            await until(predicted)
            decision = await asking.decision("0.6 hello")
            # the promise is kept by the service's own outcomes now: half the queries go to the dearer model
            assert decision["terms"]["multiplier_usd"] > 0


@pytest.mark.parametrize("fault", ["slow", "garbage", "error"])
async def test_whatever_the_service_does_queries_are_answered_and_soon_do_not_wait_for_it(fault: str) -> None:
    scripted = Scripted()
    for_ever = asyncio.Event()

    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        if fault == "slow":
            await for_ever.wait()
        return reply(b"garbage", 500 if fault == "error" else 200)

    async with scripted.serving() as url, gateway({"url": url, "budget_ms": 60}) as asking:
        assert await asking.source("0.3 hello") == "predicted"
        scripted.fault = broken
        for number in range(MISSES + 2):
            decision = await asking.decision(f"0.{number} other")
            assert decision["source"] == "prior"
            # its artifact's outcomes are the prior of models without one: they are not all alike
            cheap, dear = (each["quality"] for each in decision["estimates"])
            assert dear > cheap + 0.1
        assert asking.count("late" if fault == "slow" else "failed") == MISSES
        assert asking.count("away") == 2
        scripted.fault = None

        async def predicted() -> bool:
            return await asking.source("0.9 again") == "predicted"

        await until(predicted)


async def test_a_real_process_serves_and_drains(tmp_path: Path) -> None:
    command = [*PARETOGATE, "predictor", "--artifact", "starter", "--port", "0"]
    with running(command, ready=LISTENING, cwd=Path(__file__).parents[2]) as program:
        assert "encoder lexical" in program.text
        async with gateway({"url": program.url}) as asking, aiohttp.ClientSession() as session:
            assert await asking.source("What is 7 plus 5?") == "predicted"
            async with session.get(f"{program.url}/healthz") as answer:
                assert (await answer.json())["status"] == "ok"
            async with session.get(f"{program.url}/metrics") as answer:
                page = await answer.text()
            assert "paretogate_predictor_queries_total" in page
            assert "_created" not in page
            odd = [Prompt(""), Prompt("\0\xff binary"), Prompt("日本語"), Prompt("z" * 1_000_000, "{no json")]
            async with session.post(f"{program.url}/v1/predict", data=BytesIO(question(odd))) as answer:
                arrays, _ = unpack(await answer.read())
                assert arrays["quality"].shape == (4, 42)
                assert ((arrays["quality"] >= 0) & (arrays["quality"] <= 1)).all()
        program.process.send_signal(SIGTERM)
        assert program.process.wait(30) == 0
    missing = [*PARETOGATE, "predictor", "--artifact", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*missing, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"no artifact here" in said
