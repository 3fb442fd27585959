"""The composition root: the only file that knows every class."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx

from gateway.accounting import Accounts
from gateway.batcher import Batcher, Decider
from gateway.core.describe import describe
from gateway.core.fleet import Fleet
from gateway.core.keyring import Keyring
from gateway.core.listing import Listing
from gateway.core.story import told
from gateway.core.window import Window
from gateway.errors import ConfigurationError, GatewayError
from gateway.estimator import Estimator, columns_for
from gateway.feedback import DecisionLog, Keep, Scoring, Writer, no_decision
from gateway.gauges import Gauges
from gateway.health import Health
from gateway.http.application import Application
from gateway.http.control import control
from gateway.load.background import background
from gateway.load.opening import opened
from gateway.load.truth import Truth
from gateway.metrics import LoopLag, Metrics
from gateway.overview import Overview
from gateway.pipeline import Pipeline
from gateway.predicting.client import ServiceClient
from gateway.promises import Promises
from gateway.spending import Spending
from gateway.upstream import Upstream
from predictors.artifact import ArtifactError
from predictors.registry import load_artifact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pydantic import SecretStr

    from gateway.feedback.store import Store
    from gateway.load.opening import Stores
    from gateway.predicting.wire import Description
    from gateway.settings import Settings
    from predictors.artifact import Artifact

now: Final = time.monotonic  # the base of every loop's clock; uvloop's own has whole milliseconds only
wall: Final = time.time  # noqa: TID251 - handed out here, for dates alone


class Gateway:
    """One running gateway: what the control routes read, and the pipeline that inference goes through."""

    def __init__(
        self, settings: Settings, *, demonstration: frozenset[str] = frozenset(), counted_in: Path | None = None
    ) -> None:
        self.settings = settings
        self.fleet = fleet_of(settings)
        self.keyring = Keyring([key.build() for key in settings.keys])
        self.listing = Listing(self.fleet, int(wall()), demonstration=demonstration)
        self.artifact = artifact_of(settings)
        self.log = DecisionLog(settings.server.decisions)
        self.store = store_of(settings)
        self.metrics = Metrics(
            routes=self.fleet.routes,
            models=[model.name for model in self.fleet.models],
            endpoints=[endpoint.name for endpoint in self.fleet.endpoints],
            providers={endpoint.model: endpoint.kind.value for endpoint in self.fleet.endpoints},
            folder=counted_in,
            keys=[key.name for key in self.keyring],
        )
        self.metrics.configured(settings.fingerprint, wall())
        self._pipeline: Pipeline | None = None
        self._gauges: Gauges | None = None
        self._promises: Promises | None = None
        self._overview: Overview | None = None
        self._about = {
            "started": wall(),
            "demonstration": bool(demonstration),
            "config": settings.fingerprint,
            "predictor": "artifact" if self.artifact else "service" if settings.predictor.url else "priors",
        }
        self._writer: Writer | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens everything that has to be closed, and closes it in turn."""
        settings, fleet, metrics = self.settings, self.fleet, self.metrics
        predictor = self.artifact.predictor if self.artifact else None
        held_out = self.artifact.held_out if self.artifact else None
        columns = columns_for(fleet.models, predictor, held_out)
        health = Health(fleet, now)
        async with AsyncExitStack() as stack:
            writer = self._writer = await self._open_log(stack)
            stores = await stack.enter_async_context(self._open_load())
            book, spending = stores.book, Spending(stores.allowances)
            promises = self._promises = Promises(fleet, columns, held_out, stores.sums)
            service = service_of(settings, metrics)
            estimator = await stack.enter_async_context(
                Estimator(
                    fleet,
                    columns,
                    predictor,
                    metrics,
                    budget_s=settings.predictor.budget_ms / 1000,
                    cache_size=settings.predictor.cache,
                    service=service,
                )
            )
            if service is not None:
                await stack.enter_async_context(service.running(partial(adopt, fleet, promises, estimator)))
            client = await stack.enter_async_context(httpx.AsyncClient())
            truth = Truth(fleet.endpoints, book, client, now, random.random)
            await stack.enter_async_context(truth.running())
            decider = Decider(
                fleet,
                estimator,
                book,
                promises=promises,
                health=health,
                metrics=metrics,
                queues=truth.queues,
                solver_s=settings.window.solver_ms / 1000,
                draw=random.random,
                now=now,
            )
            batcher = Batcher(
                fleet,
                decider,
                book,
                promises=promises,
                health=health,
                metrics=metrics,
                window=Window(settings.window.max_wait_ms / 1000, settings.window.max_size),
                max_waiting=settings.queue.max_size,
                now=now,
            )
            upstream = await stack.enter_async_context(Upstream(api_keys(settings), now=now, wall=wall))
            await stack.enter_async_context(batcher.running())
            stack.enter_context(LoopLag(asyncio.get_running_loop(), metrics.loop_lag))
            self._gauges = Gauges(
                fleet,
                metrics,
                book=book,
                promises=promises,
                health=health,
                truth=truth,
                batcher=batcher,
                now=now,
                keyring=self.keyring,
                spending=spending,
            )
            if metrics.shared:
                await stack.enter_async_context(background(self._gauges.keep_looking()))
            self._overview = Overview(
                fleet,
                metrics=metrics,
                book=book,
                promises=promises,
                health=health,
                batcher=batcher,
                log=self.log,
                about=self._about,
                wall=wall,
            )
            accounts = Accounts(
                fleet,
                metrics=metrics,
                promises=promises,
                health=health,
                log=self.log,
                writer=writer,
                now=now,
                wall=wall,
            )
            self._pipeline = Pipeline(
                fleet,
                estimator=estimator,
                batcher=batcher,
                upstream=upstream,
                health=health,
                truth=truth,
                accounts=accounts,
                shared_loops=stores.loops,
                spending=spending,
                max_wait_s=settings.queue.max_wait_s,
                draw=random.random,
                now=now,
            )
            yield
            self._pipeline = self._gauges = self._overview = None

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise GatewayError("the gateway is not ready")
        return self._pipeline

    def readiness(self) -> dict[str, str]:
        return {} if self._pipeline is not None else {"gateway": "starting or stopping"}

    async def metrics_page(self) -> bytes:
        if self._gauges is not None:
            await self._gauges.look()
        return self.metrics.page()

    async def overview(self) -> dict[str, object]:
        """What the page shows.

        Raises:
            GatewayError: the gateway is not ready.
        """
        if self._overview is None:
            raise GatewayError("the gateway is not ready")
        return await self._overview.look()

    async def decision(self, decision_id: str, whose: str | None) -> dict[str, object]:
        """What is known of a decision of this key (None: of any), in memory or in the log."""
        found = self.log.find(decision_id)
        if found is not None and whose in (None, found.query.key):
            return describe(found, self.fleet)
        kept = None if found is not None or self._writer is None else await self._writer.story(decision_id)
        if kept is None or whose not in (None, kept.key):
            raise no_decision(decision_id)
        return told(kept.story)

    async def scored(self, decision_id: str, score: float, comment: str | None, whose: str | None) -> None:
        about = await Scoring(self.log, self._writer, wall).take(decision_id, score, comment, whose)
        if about is None:
            return
        if about.estimated is not None and self._promises is not None:
            await self._promises.scored(about.target, score, about.estimated)
        self.metrics.scored(about.target, about.model, predicted=about.predicted, score=score)

    def _open_load(self) -> AbstractAsyncContextManager[Stores]:
        capacities = {endpoint.name: endpoint.capacity for endpoint in self.fleet.endpoints}
        return opened(self.settings.load, capacities, now, wall, self.metrics.load)

    async def _open_log(self, stack: AsyncExitStack) -> Writer | None:
        """The log's writer, where there is a log. It outlives what serves queries, so it is entered first."""
        if self.store is None:
            return None
        log = self.settings.log
        keep = Keep(prompts=log.prompts, days=log.retention_days, rows=log.max_rows, buffer=log.buffer)
        writer = Writer(self.store, keep, scores=self.log.score, observer=self.metrics.log, wall=wall)
        await stack.enter_async_context(writer.running())
        return writer


def application(
    settings: Settings, *, demonstration: frozenset[str] = frozenset(), counted_in: Path | None = None
) -> Application:
    """The ASGI application of a configuration.

    Args:
        settings: the configuration.
        demonstration: names of models that only demonstrate.
        counted_in: a folder in which the processes of one gateway add up what they count.

    Raises:
        ConfigurationError: the predictor's artifact cannot be used, or does not know a model's `like`.
    """
    gateway = Gateway(settings, demonstration=demonstration, counted_in=counted_in)

    @asynccontextmanager
    async def lifespan(_: Application) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    return Application(
        lambda: gateway.pipeline,
        lambda: gateway.keyring,
        control(gateway),
        lifespan=lifespan,
        refused=gateway.metrics.keys.refused,
        body_limit=int(settings.server.max_body_mb * 2**20),
        ping_s=settings.server.ping_s,
        now=now,
    )


def fleet_of(settings: Settings) -> Fleet:
    models = [model.build() for model in settings.models]
    names = tuple(model.name for model in models)
    endpoints = [endpoint.build() for endpoint in settings.endpoints]
    return Fleet(models, endpoints, [route.build(names) for route in settings.routes])


def artifact_of(settings: Settings) -> Artifact | None:
    """The configured artifact, or None where priors serve.

    Raises:
        ConfigurationError: it cannot be used.
    """
    its = settings.predictor
    if its.artifact is None:
        return None
    try:
        return load_artifact(its.artifact, its.encoder, its.encoder_key.get_secret_value())
    except ArtifactError as error:
        raise ConfigurationError(f"predictor.artifact: {error}") from error


def service_of(settings: Settings, metrics: Metrics) -> ServiceClient | None:
    """The configured predictor service, or None."""
    its = settings.predictor
    return ServiceClient(its.url, metrics.predictions, budget_s=its.budget_ms / 1000) if its.url else None


async def adopt(fleet: Fleet, promises: Promises, estimator: Estimator, described: Description) -> None:
    """Takes up what a predictor service says of itself.

    Raises:
        ConfigurationError: it does not know a model's `like`; everything stays as it was.
    """
    columns = columns_for(fleet.models, described, described.held_out)
    await promises.adopt(columns, described.held_out)
    estimator.adopt(columns)


def store_of(settings: Settings) -> Store | None:
    """The configured log, or None where decisions are kept in memory alone. Nothing is opened yet.

    Raises:
        ConfigurationError: its URL cannot be used.
    """
    url = settings.log.url.get_secret_value()
    if not url:
        return None
    from gateway.feedback.store import Store  # noqa: PLC0415 - SQLAlchemy, only for who keeps a log

    return Store(url)


def api_keys(settings: Settings) -> dict[str, SecretStr]:
    return {endpoint.name: endpoint.api_key for endpoint in settings.endpoints if endpoint.api_key is not None}
