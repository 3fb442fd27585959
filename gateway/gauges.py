"""Looks at what lives (load, promises, breakers, reports, the line) and sets its gauges, when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.problem import NANO
from gateway.domain import MaxCost, MinQuality

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.batcher import Batcher
    from gateway.core.fleet import Fleet
    from gateway.core.keyring import Keyring
    from gateway.health import Health
    from gateway.load.base import LoadBook
    from gateway.load.truth import Truth
    from gateway.metrics import Metrics
    from gateway.promises import Keeping, Promises
    from gateway.spending import Spending

PER_1K: Final = 1_000  # queries


class Gauges:
    """Of one running gateway."""

    def __init__(
        self,
        fleet: Fleet,
        metrics: Metrics,
        *,
        book: LoadBook,
        promises: Promises,
        health: Health,
        truth: Truth,
        batcher: Batcher,
        now: Callable[[], float],
        keyring: Keyring,
        spending: Spending,
    ) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._book = book
        self._promises = promises
        self._health = health
        self._truth = truth
        self._batcher = batcher
        self._now = now
        self._keyring = keyring
        self._spending = spending
        for endpoint in fleet.endpoints:
            metrics.endpoints.capacity[endpoint.name].set(endpoint.capacity.concurrency)

    async def look(self) -> None:
        """Sets everything to what it is now."""
        await self._look_at_load()
        self._look_at_endpoints()
        for kept in self._promises:
            await self._look_at_promise(kept)
        for key in self._keyring:
            if (left := self._spending.left(key).nano) is not None:
                self._metrics.keys.remaining(key.name, left / NANO)
        self._metrics.oldest.set(self._batcher.oldest_s)

    async def _look_at_load(self) -> None:
        gauges = self._metrics.endpoints
        free = await self._book.headroom()
        paces = self._health.paces
        seconds = paces.typical(paces.traffic(free, self._truth.queues()), self._now())
        for endpoint, expected in zip(self._fleet.endpoints, seconds.tolist(), strict=True):
            gauges.seconds[endpoint.name].set(expected)
        for name, held in (await self._book.held()).items():
            gauges.leases[name].set(held)
        for name, places in zip(self._book.endpoints, free.places.tolist(), strict=True):
            gauges.headroom[name].set(places)

    def _look_at_endpoints(self) -> None:
        gauges, stale = self._metrics.endpoints, self._truth.stale()
        for index, endpoint in enumerate(self._fleet.endpoints):
            name = endpoint.name
            gauges.state(name, self._health.state(index))
            gauges.report_stale[name].set(name in stale)
            report = self._truth.report(name)
            if report is not None:
                gauges.reported(name, running=report.running, waiting=report.waiting, kv_usage=report.kv_usage)

    async def _look_at_promise(self, kept: Keeping) -> None:
        gauges, promise, name = self._metrics.routes, kept.promise, kept.route.name
        sums, objective = await kept.sums(), kept.route.objective
        predicted = sums.quality / sums.n if sums.n else None
        residual = sums.residual / sums.scored if sums.scored else None
        cost = sums.cost / sums.n * PER_1K if sums.n else None
        gauges.multiplier.labels(name).set(promise.multiplier(sums))
        gauges.bias.labels(name).set(promise.bias(sums))
        gauges.quality(
            name,
            {
                "asked": objective.quality if isinstance(objective, MinQuality) else None,
                "expected": promise.expected,
                "predicted": predicted,
                "realised": None if predicted is None or residual is None else predicted + residual,
            },
        )
        gauges.cost(
            name,
            {
                "asked": objective.usd_per_1k if isinstance(objective, MaxCost) else None,
                "predicted": cost,
                "actual": None if cost is None else cost + sums.overrun / sums.n * PER_1K,
            },
        )
