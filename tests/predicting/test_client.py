"""The gateway's side of the predictor service, on real sockets: used while it is well, out of the way when not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.errors import ConfigurationError
from gateway.estimator import AwayError
from gateway.metrics import Predictions
from gateway.metrics.tally import Tally
from gateway.predicting.arrays import pack, unpack
from gateway.predicting.client import MISSES, ServiceClient
from gateway.predicting.service import description_of
from gateway.predicting.wire import WireError, answer, describe
from predictors.base import Prompt
from tests.fakes import FakePredictor
from tests.predicting.services import MODELS, Scripted, artifact, free_ports, reply, service, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.predicting.wire import Description

ASKED = [Prompt("0.2 a"), Prompt("0.6 b")]
GOOD = answer(FakePredictor(MODELS, (0.0, 0.3)).predict(ASKED), description_of(artifact()).artifact)


class Gateway:
    """What takes up descriptions."""

    def __init__(self) -> None:
        self.adopted: list[Description] = []
        self.registry = CollectorRegistry()
        tally = Tally()
        self.registry.register(tally)
        self.metrics = Predictions(tally)
        self.refuse = False

    async def adopt(self, described: Description) -> None:
        if self.refuse:
            raise ConfigurationError("models[0].like: the predictor knows no 'x'")
        self.adopted.append(described)

    @property
    def up(self) -> bool:
        return self.registry.get_sample_value("paretogate_predictor_service_up") == 1

    def client(self, url: str) -> ServiceClient:
        return ServiceClient(url, self.metrics, budget_s=5.0, pause_s=0.01)


def changed(**tables: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """The good answer, with something done to some of its tables."""
    arrays, words = unpack(GOOD)
    return pack({name: tables.get(name, np.array)(table) for name, table in arrays.items()}, words)


def poisoned(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def poison(table: np.ndarray) -> np.ndarray:
        copy = np.array(table)
        copy.flat[-1] = value
        return copy

    return poison


def without(name: str) -> bytes:
    arrays, words = unpack(GOOD)
    return pack({each: table for each, table in arrays.items() if each != name}, words)


def of_protocol(protocol: str) -> bytes:
    arrays, words = unpack(GOOD)
    return pack(arrays, words | {"protocol": protocol})


async def test_a_service_that_is_well_is_asked_from_the_start() -> None:
    its, gateway = artifact(), Gateway()
    async with service(its) as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            assert gateway.up
            found = await client.predict(ASKED)
            np.testing.assert_array_equal(found.quality, its.predictor.predict(ASKED).quality)
    [described] = gateway.adopted
    assert described.models == MODELS


@pytest.mark.parametrize(
    "body",
    [
        changed(quality=lambda table: table[:1]),
        changed(quality=lambda table: table[:, :1]),
        changed(output_quantiles=lambda table: table[:, :, :1]),
        changed(quality=poisoned(float("nan"))),
        changed(quality=poisoned(1.5)),
        changed(quality_sd=poisoned(-1)),
        changed(quality_sd=poisoned(float("inf"))),
        changed(output_quantiles=poisoned(float("inf"))),
        changed(output_quantiles=poisoned(-5)),
        without("cost_usd"),
        of_protocol("2"),
        GOOD[:-1],
        b"",
        b"<html>a proxy's own page</html>",
    ],
    ids=[
        "fewer rows",
        "fewer models",
        "fewer quantiles",
        "nan",
        "quality above 1",
        "sd below 0",
        "infinite sd",
        "infinite length",
        "length below 0",
        "a table missing",
        "another protocol",
        "cut short",
        "nothing",
        "html",
    ],
)
async def test_an_answer_that_is_wrong_is_an_error_and_is_not_asked_for_again_and_again(body: bytes) -> None:
    scripted, gateway = Scripted(), Gateway()

    async def wrong(_: web.BaseRequest) -> web.StreamResponse:
        return reply(body)

    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            scripted.fault = wrong
            for _ in range(MISSES):
                with pytest.raises(WireError):
                    await client.predict(ASKED)
            with pytest.raises(AwayError):
                await client.predict(ASKED)
            assert not gateway.up
            scripted.fault = None
            await until(lambda: gateway.up)
            assert len((await client.predict(ASKED)).quality) == 2
    assert len(gateway.adopted) == 1  # it is the same artifact


@pytest.mark.parametrize("status", [302, 404, 429, 500, 504])
async def test_another_status_is_an_error(status: int) -> None:
    scripted, gateway = Scripted(), Gateway()

    async def refuse(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"location": "/elsewhere"})

    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            scripted.fault = refuse
            with pytest.raises(WireError, match=str(status)):
                await client.predict(ASKED)


async def test_a_connection_that_breaks_is_an_error() -> None:
    scripted, gateway = Scripted(), Gateway()

    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            scripted.fault = cut
            with pytest.raises(aiohttp.ClientError):
                await client.predict(ASKED)


async def test_a_service_that_is_too_slow_is_soon_left_alone() -> None:
    scripted, gateway = Scripted(), Gateway()
    slow = asyncio.Event()

    async def stall(_: web.BaseRequest) -> web.StreamResponse:
        await slow.wait()
        return reply(GOOD)

    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            scripted.fault = stall
            for _ in range(MISSES):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await client.predict(ASKED)
            with pytest.raises(AwayError):
                await client.predict(ASKED)
            slow.set()
            scripted.fault = None
            await until(lambda: gateway.up)


async def test_a_success_forgives_what_went_before() -> None:
    scripted, gateway = Scripted(), Gateway()

    async def wrong(_: web.BaseRequest) -> web.StreamResponse:
        return reply(b"")

    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            for _ in range(MISSES):
                scripted.fault = wrong
                with pytest.raises(WireError):
                    await client.predict(ASKED)
                scripted.fault = None
                await client.predict(ASKED)
            assert gateway.up


async def test_a_service_that_comes_later_is_taken_up_and_one_that_dies_and_returns_is_used_again() -> None:
    gateway = Gateway()
    [port] = free_ports(1)
    client = gateway.client(f"http://127.0.0.1:{port}")
    async with client.running(gateway.adopt):
        with pytest.raises(AwayError):
            await client.predict(ASKED)
        for _ in range(2):
            async with service(artifact(), port=port):
                await until(lambda: gateway.up)
                assert len((await client.predict(ASKED)).quality) == 2
            for _ in range(MISSES):
                with pytest.raises(aiohttp.ClientError):
                    await client.predict(ASKED)
            assert not gateway.up
    assert len(gateway.adopted) == 1


async def test_another_artifact_at_the_same_address_is_taken_up_before_it_is_believed() -> None:
    gateway = Gateway()
    scripted = Scripted()
    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            await client.predict(ASKED)
            scripted.its = artifact(FakePredictor(("other", *MODELS), (0.0, 0.1, 0.2)), name="two")
            with pytest.raises(WireError, match="another artifact"):
                await client.predict(ASKED)
            await until(lambda: gateway.up)
            assert (await client.predict(ASKED)).quality.shape == (2, 3)
    assert [described.models for described in gateway.adopted] == [MODELS, ("other", *MODELS)]


async def test_a_service_that_does_not_know_our_models_is_not_used() -> None:
    gateway = Gateway()
    gateway.refuse = True
    async with service(artifact()) as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            with pytest.raises(AwayError):
                await client.predict(ASKED)
            gateway.refuse = False
            await until(lambda: gateway.up)


def described(**words: str) -> bytes:
    arrays, said = unpack(describe(description_of(artifact())))
    return pack(arrays, said | words)


def garbled(name: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    arrays, words = unpack(describe(description_of(artifact())))
    return pack({each: change(table) if each == name else table for each, table in arrays.items()}, words)


@pytest.mark.parametrize(
    "description",
    [
        described(protocol="2"),
        described(models='["cheap"]'),
        described(models='["cheap", "cheap"]'),
        described(models="cheap"),
        garbled("held_out.score", lambda table: table[:5]),
        garbled("held_out.weight", lambda table: -table),
        garbled("held_out.quality", poisoned(float("nan"))),
        garbled("characters_per_token", lambda table: table[:1]),
        b"none",
    ],
    ids=["protocol", "too few", "twice", "no list", "cells", "weights", "nan", "ratios", "garbage"],
)
async def test_a_description_that_is_wrong_leaves_the_priors_in_charge(description: bytes) -> None:
    scripted, gateway = Scripted(description=description), Gateway()
    async with scripted.serving() as url:
        client = gateway.client(url)
        async with client.running(gateway.adopt):
            assert not gateway.up
            with pytest.raises(AwayError):
                await client.predict(ASKED)
            assert gateway.adopted == []
            scripted.description = None
            await until(lambda: gateway.up)
