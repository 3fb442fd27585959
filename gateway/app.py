"""The gateway as a whole: what stays while configurations come and go, and the one that is served by now."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gateway.configured import manifest_of
from gateway.core.describe import describe
from gateway.core.story import told
from gateway.errors import ConfigurationError, GatewayError
from gateway.feedback import DecisionLog, Scoring, no_decision
from gateway.generation import Generation
from gateway.house import housed, now, store_of, wall
from gateway.http.application import Application
from gateway.load.background import background
from gateway.load.opening import opened
from gateway.metrics import LoopLag, Metrics
from gateway.reload import Watch
from gateway.settings import read
from gateway.succession import Succession, succession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from gateway.core.fleet import Fleet
    from gateway.core.keyring import Keyring
    from gateway.core.listing import Listing
    from gateway.feedback import Writer
    from gateway.house import House
    from gateway.load.opening import Stores
    from gateway.pipeline import Pipeline
    from gateway.settings import Settings

__all__ = ["Gateway", "application", "now", "wall"]

AT_START: Final = ("load", "log", "server", "telemetry")  # sections that say what is opened once
LOOK_S: Final = 1.0

log = logging.getLogger(__name__)


class Gateway:
    """One running gateway: what the control routes read, and the pipeline that inference goes through."""

    def __init__(
        self, settings: Settings, *, demonstration: frozenset[str] = frozenset(), counted_in: Path | None = None
    ) -> None:
        self.current = Generation(settings, demonstration=demonstration)
        self._demonstration = demonstration
        self._succession: Succession | None = None
        self._house: House | None = None
        self.log = DecisionLog(settings.server.decisions)
        self.store = store_of(settings)
        fleet = self.current.fleet
        self.metrics = Metrics(
            routes=fleet.routes,
            models=fleet.model_index,
            endpoints=fleet.endpoint_index,
            providers={endpoint.model: endpoint.kind.value for endpoint in fleet.endpoints},
            folder=counted_in,
            keys=[key.name for key in self.current.keyring],
        )
        self.metrics.configured(settings.fingerprint, wall())

    @property
    def settings(self) -> Settings:
        return self.current.settings

    @property
    def fleet(self) -> Fleet:
        return self.current.fleet

    @property
    def keyring(self) -> Keyring:
        return self.current.keyring

    @property
    def listing(self) -> Listing:
        return self.current.listing

    @property
    def pipeline(self) -> Pipeline:
        if self.current.pipeline is None or self._house is None:
            raise GatewayError("the gateway is not ready")
        return self.current.pipeline

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves by the configuration, and by those that are taken up while it runs."""
        async with self._opened() as house, succession(house, self.current) as generations:
            self._house, self._succession = house, generations
            try:
                yield
            finally:
                self._house = self._succession = None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[House]:
        """What outlives every configuration, and what looks after all of it."""
        load = self._open_load()
        async with housed(self.settings, load, metrics=self.metrics, log=self.log, store=self.store) as house:
            with LoopLag(asyncio.get_running_loop(), self.metrics.loop_lag):
                async with background(*([self._keep_looking()] if self.metrics.shared else ())):
                    yield house

    def _open_load(self) -> AbstractAsyncContextManager[Stores]:
        """A place of its own: tests put a load book of theirs here."""
        capacities = {endpoint.name: endpoint.capacity for endpoint in self.fleet.endpoints}
        return opened(self.settings.load, capacities, now, wall, self.metrics.load)

    async def reload(self, read: Callable[[], Settings]) -> bool:
        """Takes up what is read, as a whole or not at all. Queries go on by what they were begun with.

        Returns whether it was taken up; why not is logged.
        """
        if self._succession is None:
            return False
        try:
            settings = await asyncio.to_thread(read)
            if settings == self.settings and await asyncio.to_thread(self.current.same_artifact):
                self.metrics.reloaded(good=True)
                return True
            self._check(settings)
            made = await asyncio.to_thread(Generation, settings, demonstration=self._demonstration, before=self.current)
            await self._succession.take_up(made)
            self.current = made
        except GatewayError as error:
            log.error("the configuration stays as it was: %s", error.message)  # noqa: TRY400 - the operator's, to mend
            self.metrics.reloaded(good=False)
            return False
        self.metrics.reloaded(good=True)
        self.metrics.configured(settings.fingerprint, wall())
        log.warning("a new configuration is served: %s", settings.fingerprint)
        return True

    def _check(self, settings: Settings) -> None:
        for name in AT_START:
            if getattr(settings, name) != getattr(self.settings, name):
                raise ConfigurationError(f"{name}: is read at the start alone; restart to change it")
        if self.settings.keys and not settings.keys:
            raise ConfigurationError("keys: the last one is gone, and everybody could call; restart to mean it")

    def readiness(self) -> dict[str, str]:
        return {} if self._house is not None else {"gateway": "starting or stopping"}

    async def metrics_page(self) -> bytes:
        if self._house is not None and self.current.gauges is not None:
            await self.current.gauges.look()
        return self.metrics.page()

    async def overview(self) -> dict[str, object]:
        """What the page shows.

        Raises:
            GatewayError: the gateway is not ready.
        """
        if self._house is None or self.current.overview is None:
            raise GatewayError("the gateway is not ready")
        return await self.current.overview.look()

    async def _keep_looking(self) -> None:
        """For ever: whichever process is asked tells the most of all of them."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.current.gauges is not None:
                await self.current.gauges.look()

    async def decision(self, decision_id: str, whose: str | None) -> dict[str, object]:
        """What is known of a decision of this key (None: of any), in memory or in the log."""
        found = self.log.find(decision_id)
        if found is not None and whose in (None, found.query.key):
            return describe(found, found.fleet or self.fleet)
        kept = None if found is not None or self._writer is None else await self._writer.story(decision_id)
        if kept is None or whose not in (None, kept.key):
            raise no_decision(decision_id)
        return told(kept.story)

    async def scored(self, decision_id: str, score: float, comment: str | None, whose: str | None) -> None:
        about = await Scoring(self.log, self._writer, wall).take(decision_id, score, comment, whose)
        if about is None:
            return
        promises = self.current.promises
        if about.estimated is not None and promises is not None:
            await promises.scored(about.target, score, about.estimated)
        self.metrics.scored(about.target, about.model, predicted=about.predicted, score=score)

    @property
    def _writer(self) -> Writer | None:
        return self._house.writer if self._house is not None else None


def application(
    settings: Settings,
    *,
    demonstration: frozenset[str] = frozenset(),
    counted_in: Path | None = None,
    source: Path | None = None,
) -> Application:
    """The ASGI application of a configuration.

    Args:
        settings: the configuration.
        demonstration: names of models that only demonstrate.
        counted_in: a folder in which the processes of one gateway add up what they count.
        source: the file that the settings were read from, to be read again when it changes; None: they stay.

    Raises:
        ConfigurationError: the predictor's artifact cannot be used, or does not know a model's `like`.
    """
    gateway = Gateway(settings, demonstration=demonstration, counted_in=counted_in)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with gateway.running():
            if source is None:
                yield
                return
            async with watching(gateway, source).running():
                yield

    return Application(
        lambda: gateway.pipeline,
        lambda: gateway.keyring,
        gateway,
        lifespan=lifespan,
        refused=gateway.metrics.keys.refused,
        body_limit=int(settings.server.max_body_mb * 2**20),
        ping_s=settings.server.ping_s,
        now=now,
    )


def watching(gateway: Gateway, source: Path) -> Watch:
    """Has the configuration read again when its file or its artifact is another, or SIGHUP asks for it."""

    def paths() -> list[Path]:
        manifest = manifest_of(gateway.settings)
        return [source, manifest] if manifest else [source]

    return Watch(paths, lambda: gateway.reload(lambda: read(source, os.environ)))
