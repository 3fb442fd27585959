"""What a predictor service counts, on a page of its own."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from gateway import __version__
from gateway.metrics import buckets

REFUSED: Final = ("invalid", "too_large", "full", "expired", "failed")


class ServiceMetrics:
    """Of one predictor service."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._queries = Counter("paretogate_predictor_queries", "Queries predicted", registry=registry)
        self._batch = Histogram(
            "paretogate_predictor_batch_queries", "Queries of one batch", buckets=buckets.QUERIES, registry=registry
        )
        self._seconds = Histogram(
            "paretogate_predictor_batch_seconds", "To compute one batch", buckets=buckets.PARTS, registry=registry
        )
        self.waiting = Gauge(
            "paretogate_predictor_waiting_queries", "Queries that wait for their batch", registry=registry
        )
        refused = Counter(
            "paretogate_predictor_refused", "Requests without a prediction, by reason", ["reason"], registry=registry
        )
        self.refused = {reason: refused.labels(reason) for reason in REFUSED}
        Gauge("paretogate_build_info", "1, with the version as label", ["version"], registry=registry).labels(
            __version__
        ).set(1)

    def computed(self, queries: int, seconds: float) -> None:
        self._queries.inc(queries)
        self._batch.observe(queries)
        self._seconds.observe(seconds)

    def page(self) -> bytes:
        return generate_latest(self.registry)
