"""What serves by one configuration. A reload makes another; this one ends when its last query has."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from gateway.accounting import Accounts
from gateway.batcher import Batcher, Decider
from gateway.configured import api_keys, artifact_of, fleet_of, manifest_of, same_place
from gateway.core.keyring import Keyring
from gateway.core.listing import Listing
from gateway.core.window import Window
from gateway.estimator import Estimator, columns_for
from gateway.gauges import Gauges
from gateway.health import Health
from gateway.house import now, wall
from gateway.load.callers import Callers
from gateway.load.truth import ASKED, Truth
from gateway.load.view import FleetView
from gateway.overview import Overview
from gateway.pipeline import Pipeline
from gateway.predicting.client import ServiceClient
from gateway.promises import Promises
from gateway.reload import stamp
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from gateway.core.fleet import Fleet
    from gateway.estimator import Columns
    from gateway.house import House
    from gateway.load.base import LoadBook
    from gateway.metrics import Metrics
    from gateway.predicting.wire import Description
    from gateway.settings import Settings
    from predictors.artifact import Artifact
    from predictors.base import HeldOut


class Generation:
    """One configuration, read and checked; `running` serves by it.

    Args:
        settings: the configuration.
        demonstration: names of models that only demonstrate.
        before: the generation that it is to follow, whose artifact stays when it is the same.

    Raises:
        ConfigurationError: the predictor's artifact cannot be used, or does not know a model's `like`.
    """

    def __init__(
        self, settings: Settings, *, demonstration: frozenset[str] = frozenset(), before: Generation | None = None
    ) -> None:
        self.settings = settings
        self.fleet = fleet_of(settings)
        self.keyring = Keyring([key.build() for key in settings.keys])
        self.listing = Listing(self.fleet, int(wall()), demonstration=demonstration)
        self.stamp = stamp(manifest) if (manifest := manifest_of(settings)) else None
        same = before is not None and (before.settings.predictor, before.stamp) == (settings.predictor, self.stamp)
        self.artifact: Artifact | None = before.artifact if same and before else artifact_of(settings)
        self._columns()  # refuses a `like` that is not known before anything is changed
        self.retired = asyncio.Event()
        self.pipeline: Pipeline | None = None
        self.promises: Promises | None = None
        self.gauges: Gauges | None = None
        self.health: Health | None = None
        self.overview: Overview | None = None
        self._demonstration = demonstration

    @asynccontextmanager
    async def running(self, house: House, before: Generation | None = None) -> AsyncIterator[None]:
        """Opens everything that has to be closed, and closes it in turn."""
        settings, fleet, metrics = self.settings, self.fleet, house.metrics
        columns, held_out = self._columns()
        book = FleetView(house.stores.book, list(fleet.endpoint_index))
        health = self.health = self._health(before)
        async with AsyncExitStack() as stack:
            promises = await asyncio.to_thread(Promises, fleet, columns, held_out, house.stores.sums)
            service = service_of(settings, metrics)
            estimator = await stack.enter_async_context(
                Estimator(
                    fleet,
                    columns,
                    self.artifact.predictor if self.artifact else None,
                    metrics,
                    budget_s=settings.predictor.budget_ms / 1000,
                    cache_size=settings.predictor.cache,
                    service=service,
                )
            )
            if service is not None:
                await stack.enter_async_context(service.running(partial(adopt, fleet, promises, estimator)))
            asked = await stack.enter_async_context(asking(fleet))
            truth = Truth(fleet.endpoints, book, asked, now, random.random)
            await stack.enter_async_context(truth.running())
            batcher = self._batcher(estimator, metrics, book=book, promises=promises, health=health, truth=truth)
            upstream = await stack.enter_async_context(Upstream(api_keys(settings), now=now, wall=wall))
            await stack.enter_async_context(batcher.running())
            accounts = Accounts(
                fleet,
                metrics=metrics,
                promises=promises,
                health=health,
                log=house.log,
                writer=house.writer,
                traces=house.traces,
                telling=house.telling,
                now=now,
                wall=wall,
            )
            self._show(house, book=book, promises=promises, health=health, truth=truth, batcher=batcher)
            self.promises = promises
            self.pipeline = Pipeline(
                fleet,
                estimator=estimator,
                batcher=batcher,
                upstream=upstream,
                health=health,
                truth=truth,
                accounts=accounts,
                callers=Callers(house.loops, house.stores.loops),
                spending=house.spending,
                max_wait_s=settings.queue.max_wait_s,
                draw=random.random,
                now=now,
            )
            yield

    def _batcher(
        self,
        estimator: Estimator,
        metrics: Metrics,
        *,
        book: LoadBook,
        promises: Promises,
        health: Health,
        truth: Truth,
    ) -> Batcher:
        """The line of waiting queries, and what decides a batch of them."""
        fleet, window, queue = self.fleet, self.settings.window, self.settings.queue
        decider = Decider(
            fleet,
            estimator,
            book,
            promises=promises,
            health=health,
            metrics=metrics,
            queues=truth.queues,
            solver_s=window.solver_ms / 1000,
            draw=random.random,
            now=now,
        )
        return Batcher(
            fleet,
            decider,
            book,
            promises=promises,
            health=health,
            metrics=metrics,
            window=Window(window.max_wait_ms / 1000, window.max_size),
            max_waiting=queue.max_size,
            now=now,
        )

    def _show(
        self, house: House, *, book: LoadBook, promises: Promises, health: Health, truth: Truth, batcher: Batcher
    ) -> None:
        """What the metrics and the page show of it."""
        fleet, metrics = self.fleet, house.metrics
        self.gauges = Gauges(
            fleet,
            metrics,
            book=book,
            promises=promises,
            health=health,
            truth=truth,
            batcher=batcher,
            now=now,
            keyring=self.keyring,
            spending=house.spending,
        )
        self.overview = Overview(
            fleet,
            metrics=metrics,
            book=book,
            promises=promises,
            health=health,
            batcher=batcher,
            log=house.log,
            about=self._about(house),
            wall=wall,
        )

    def _about(self, house: House) -> dict[str, object]:
        return {
            "started": house.started,
            "demonstration": bool(self._demonstration),
            "config": self.settings.fingerprint,
            "predictor": "artifact" if self.artifact else "service" if self.settings.predictor.url else "priors",
        }

    def same_artifact(self) -> bool:
        """Whether the artifact is still the one that was read."""
        manifest = manifest_of(self.settings)
        return self.stamp == (stamp(manifest) if manifest else None)

    async def ended(self) -> None:
        """Returns once another has taken its place and its last query has ended."""
        await self.retired.wait()
        if self.pipeline is not None:
            await self.pipeline.presence.emptied()

    def _columns(self) -> tuple[Columns, HeldOut | None]:
        predictor = self.artifact.predictor if self.artifact else None
        held_out = self.artifact.held_out if self.artifact else None
        return columns_for(self.fleet.models, predictor, held_out), held_out

    def _health(self, before: Generation | None) -> Health:
        """Breakers and paces of endpoints that are as they were, key and all, go on."""
        health = Health(self.fleet, now)
        if before is not None and before.health is not None:
            were = {endpoint.name: endpoint for endpoint in before.settings.endpoints}
            same = [each.name for each in self.settings.endpoints if same_place(each, were.get(each.name))]
            health.inherit(before.health, same)
        return health


@asynccontextmanager
async def asking(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient | None]:
    """A client for the endpoints that are asked how busy they are. It is slow to make: None where there are none."""
    if not any(endpoint.kind in ASKED for endpoint in fleet.endpoints):
        yield None
        return
    import httpx  # noqa: PLC0415 - a tenth of a start, with its certificates

    async with httpx.AsyncClient() as client:
        yield client


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
