"""What a predictor service counts, on a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.metrics import buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

REFUSED: Final = ("invalid", "too_large", "full", "expired", "failed")

# A second series for every counter, which nothing reads.
disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client leaves it without types


class EmbeddingCounts(Collector):
    """What an encoder's cache has counted by itself: embeddings found there, and made."""

    def __init__(self, counts: Callable[[], tuple[int, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("paretogate_predictor_embeddings", "Texts embedded", labels=["result"])
        for result, count in zip(("cached", "computed"), self._counts(), strict=True):
            family.add_metric([result], count)
        yield family


class ServiceMetrics:
    """Of one predictor service.

    Args:
        embeddings: how many its encoder has found in its cache, and made.
    """

    def __init__(self, embeddings: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        self.registry = registry = CollectorRegistry()
        registry.register(EmbeddingCounts(embeddings))
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
