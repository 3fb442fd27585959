"""The predictor service on a real socket: batches, limits, and what it says of itself."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import pytest

from gateway.metrics.predictor import ServiceMetrics
from gateway.predicting.service import BODY_LIMIT, description_of
from gateway.predicting.wire import DEADLINE, PROMPTS, question, read_answer, read_description
from predictors.base import Prompt
from tests.fakes import FakePredictor
from tests.predicting.services import MODELS, artifact, service, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from predictors.artifact import Artifact
    from predictors.base import Prediction


class Gated(FakePredictor):
    """Computes a batch when it is let, and remembers the sizes."""

    def __init__(self) -> None:
        super().__init__(MODELS, (0.0, 0.3))
        self.go = threading.Semaphore(0)
        self.batches: list[int] = []
        self.begun = threading.Semaphore(0)

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        self.batches.append(len(prompts))
        self.begun.release()
        assert self.go.acquire(timeout=30)
        return super().predict(prompts)


class Broken(FakePredictor):
    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        raise RuntimeError(f"{prompts[0].text} is secret")


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


def prompts(*levels: float) -> list[Prompt]:
    return [Prompt(f"{level} hello") for level in levels]


async def post(session: aiohttp.ClientSession, body: bytes, **headers: str) -> tuple[int, bytes, str]:
    async with session.post("/v1/predict", data=BytesIO(body), headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("retry-after", "")


async def predict(session: aiohttp.ClientSession, its: Artifact, asked: list[Prompt]) -> Prediction:
    status, body, _ = await post(session, question(asked))
    assert status == 200, body
    return read_answer(body, len(asked), description_of(its))


async def metric(session: aiohttp.ClientSession, name: str) -> float:
    async with session.get("/metrics") as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", await answer.text(), re.MULTILINE)
        assert found, name
        return float(found[1])


async def test_it_predicts_what_the_artifact_predicts_and_says_what_it_is() -> None:
    its = artifact()
    async with service(its) as url, asking(url) as session:
        found = await predict(session, its, prompts(0.2, 0.6))
        np.testing.assert_array_equal(found.quality, its.predictor.predict(prompts(0.2, 0.6)).quality)
        async with session.get("/v1/artifact") as answer:
            described = read_description(await answer.read())
        assert described.models == MODELS
        np.testing.assert_array_equal(described.held_out.score, its.held_out.score)
        np.testing.assert_array_equal(described.held_out.cost_usd, its.held_out.cost_usd)
        async with session.get("/healthz") as answer:
            assert await answer.json() == {
                "status": "ok",
                "protocol": "1",
                "artifact": described.artifact,
                "models": 2,
            }


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "predictor-service.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(paretogate_predictor_\w+)` \| (\w+) \|", page, re.MULTILINE))
    families = ServiceMetrics().registry.collect()
    known = {each.name + "_total" * (each.type == "counter"): each.type for each in families}
    assert documented == {name: kind for name, kind in known.items() if name.startswith("paretogate_predictor_")}


async def test_what_comes_while_a_batch_is_computed_is_the_next() -> None:
    gated = Gated()
    its = artifact()
    its = type(its)(gated, its.held_out, its.manifest, its.text_hashes)
    async with service(its, max_batch=5) as url, asking(url) as session, asyncio.TaskGroup() as group:
        asked = [prompts(0.1), *(prompts(0.1 + number / 100, 0.5) for number in range(1, 5))]
        first = group.create_task(predict(session, its, asked[0]))
        await asyncio.to_thread(gated.begun.acquire)
        others = [group.create_task(predict(session, its, each)) for each in asked[1:]]

        async def all_wait() -> bool:
            return await metric(session, "paretogate_predictor_waiting_queries") == 8

        await until(all_wait)
        gated.go.release(3)
        for prediction, each in zip(await asyncio.gather(first, *others), asked, strict=True):
            np.testing.assert_allclose(
                prediction.quality[:, 0], [float(one.text.split()[0]) for one in each], rtol=1e-6
            )
        assert gated.batches == [1, 4, 4]
        assert await metric(session, "paretogate_predictor_queries_total") == 9
        assert await metric(session, "paretogate_predictor_batch_queries_count") == 3
        assert await metric(session, "paretogate_predictor_batch_seconds_count") == 3


async def test_a_line_that_is_full_says_so_and_serves_on() -> None:
    gated = Gated()
    its = artifact()
    its = type(its)(gated, its.held_out, its.manifest, its.text_hashes)
    async with service(its, max_waiting=2) as url, asking(url) as session, asyncio.TaskGroup() as group:
        first = group.create_task(predict(session, its, prompts(0.1)))
        await asyncio.to_thread(gated.begun.acquire)
        second = group.create_task(predict(session, its, prompts(0.1, 0.2)))

        async def waits() -> bool:
            return await metric(session, "paretogate_predictor_waiting_queries") == 2

        await until(waits)
        status, body, retry_after = await post(session, question(prompts(0.3)))
        assert (status, retry_after) == (429, "1")
        assert b'"full"' in body
        gated.go.release(2)
        await asyncio.gather(first, second)
        assert await metric(session, 'paretogate_predictor_refused_total{reason="full"}') == 1


async def test_nothing_is_computed_for_whoever_has_stopped_waiting() -> None:
    gated = Gated()
    its = artifact()
    its = type(its)(gated, its.held_out, its.manifest, its.text_hashes)
    async with service(its) as url, asking(url) as session, asyncio.TaskGroup() as group:
        first = group.create_task(predict(session, its, prompts(0.1)))
        await asyncio.to_thread(gated.begun.acquire)
        late = group.create_task(post(session, question(prompts(0.2)), **{DEADLINE: "0"}))

        async def waits() -> bool:
            return await metric(session, "paretogate_predictor_waiting_queries") == 1

        await until(waits)
        gated.go.release(2)
        assert (await late)[0] == 504
        await first
        assert gated.batches == [1]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid"),
        (b"[]", 400, "invalid"),
        (b'{"prompts": [{"tools": "[]"}]}', 400, "invalid"),
        (b'{"prompts": []}', 400, "invalid"),
        (b'{"prompts": "\xff"}', 400, "invalid"),
        (b'{"prompts": [' + b",".join([b'{"text":""}'] * (PROMPTS + 1)) + b"]}", 400, "invalid"),
        (b" " * (BODY_LIMIT + 1), 413, "too_large"),
    ],
    ids=["empty", "list", "no text", "no prompts", "no text at all", "too many", "too large"],
)
async def test_what_is_no_question_is_refused(body: bytes, status: int, code: str) -> None:
    async with service(artifact()) as url, asking(url) as session:
        found, said, _ = await post(session, body)
        assert (found, f'"{code}"'.encode() in said) == (status, True)
        assert await metric(session, f'paretogate_predictor_refused_total{{reason="{code}"}}') == 1


@pytest.mark.parametrize("deadline", ["soon", "-1", "nan"])
async def test_a_deadline_that_is_none_is_refused(deadline: str) -> None:
    async with service(artifact()) as url, asking(url) as session:
        assert (await post(session, question(prompts(0.1)), **{DEADLINE: deadline}))[0] == 400


async def test_a_predictor_that_fails_costs_its_batch_and_says_nothing_of_the_prompts() -> None:
    its = artifact()
    its = type(its)(Broken(MODELS, (0, 0)), its.held_out, its.manifest, its.text_hashes)
    async with service(its) as url, asking(url) as session:
        for _ in range(2):
            status, body, _ = await post(session, question([Prompt("my password")]))
            assert status == 500
            assert b"password" not in body


async def test_any_prompts_can_be_asked_for() -> None:
    its = artifact()
    odd = [Prompt(""), Prompt("\ud800 half a character"), Prompt("x" * 100_000, '[{"a": "\x00"}]'), Prompt("日本語")]
    async with service(its) as url, asking(url) as session:
        assert (await predict(session, its, odd)).quality.shape == (4, 2)
