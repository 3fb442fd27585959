"""All instruments of one process, their label children resolved once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from gateway import __version__
from gateway.core.assignment import Step
from gateway.core.problem import NANO
from gateway.metrics import buckets
from gateway.metrics.answers import OTHER, AnswerInstruments, Answers, FeedbackInstruments
from gateway.metrics.keys import KeyInstruments
from gateway.metrics.load import EndpointGauges, LogKeeping, Predictions, Sharing
from gateway.metrics.promise import RouteGauges
from gateway.metrics.tally import Across, Counter, Gauge, Histogram, Tally
from gateway.metrics.totals import totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gateway.core.decision import Batch
    from gateway.domain import Outcome
    from gateway.metrics.totals import Totals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What one gateway counts.

    Args:
        routes: names; with the models', the only values of a label that a client can choose.
        models: names.
        endpoints: names.
        providers: by model, the kind of its endpoints; a model that is left out is `other`.
        folder: where the processes of one gateway add up what they count; None when there is only one.
        keys: names.
    """

    def __init__(
        self,
        routes: Iterable[str],
        models: Iterable[str],
        endpoints: Iterable[str],
        providers: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        keys: Iterable[str] = (),
    ) -> None:
        self.registry = CollectorRegistry()
        self._tally = tally = Tally(folder)
        self.registry.register(tally)
        if tally.shared is None:
            ProcessCollector(registry=self.registry)
        else:
            self.registry.register(tally.shared)
        self._names = frozenset([*routes, *models])
        self._instruments = AnswerInstruments(tally, providers or {})
        self.parts = self._instruments.parts
        self.retried = self._instruments.retried
        self._feedback = FeedbackInstruments(tally)
        self.predictions = Predictions(tally)
        self.endpoints = EndpointGauges(tally, list(endpoints))
        self.leases, self.attempts = self.endpoints.leases, self.endpoints.attempts
        self.routes = RouteGauges(tally)
        self.multiplier = self.routes.multiplier
        self.load = Sharing(tally)
        self.log = LogKeeping(tally)
        self.keys = KeyInstruments(tally, keys)
        self._children: dict[tuple[str, str, str], Answers] = {}
        self._batches()
        self._service()

    def know(
        self, names: Iterable[str], endpoints: Iterable[str], providers: Mapping[str, str], keys: Iterable[str]
    ) -> None:
        """Other routes and models, endpoints and keys are configured, beside those that were."""
        self._names |= frozenset(names)
        self._instruments.providers = {**self._instruments.providers, **providers}
        self.endpoints.know(endpoints)
        self.keys.know(keys)

    def _batches(self) -> None:
        """Of decisions: how many together, by which step, how good."""
        tally = self._tally
        decisions = Counter("paretogate_decisions", "Batches decided, by solve step", ["step"], tally=tally)
        self.steps = {step.value: decisions.labels(step.value) for step in Step}
        self.batch_size = Histogram(
            "paretogate_batch_queries", "Queries decided together", buckets=buckets.QUERIES, tally=tally
        )
        self.gap = Histogram(
            "paretogate_solver_gap_ratio", "Proven distance to the optimum", buckets=buckets.GAP, tally=tally
        )
        self.joint_gain = Counter(
            "paretogate_joint_gain_usd",
            "Saved by deciding jointly, against one query after the other",
            tally=tally,
        )
        self.holds = Counter("paretogate_holds", "Times that a decision left a query waiting for room", tally=tally)
        self.waiting = Gauge(
            "paretogate_waiting_queries", "Queries that wait for a decision or for room", tally=tally, across=Across.SUM
        )
        self.oldest = Gauge(
            "paretogate_oldest_waiting_seconds",
            "Age of the query that has waited longest",
            tally=tally,
            across=Across.MOST,
        )

    def _service(self) -> None:
        """Of the process and its configuration."""
        tally = self._tally
        self.loop_lag = Histogram(
            "paretogate_loop_lag_seconds",
            "How late the event loop calls a timer",
            buckets=buckets.PARTS,
            tally=tally,
        )
        build = Gauge("paretogate_build_info", "1, with the version as label", ["version"], tally=tally)
        build.labels(__version__).set(1)
        self._config = Gauge(
            "paretogate_config_info", "1, with a hash of the configuration in use", ["hash"], tally=tally
        )
        reloads = Counter(
            "paretogate_config_reloads", "Times that a changed configuration was read", ["result"], tally=tally
        )
        self._reloads = {result: reloads.labels(result) for result in ("success", "failure")}
        self._reload_good = Gauge(
            "paretogate_config_reload_successful",
            "0 when the configuration was changed last to one that could not be taken up",
            tally=tally,
            across=Across.LEAST,
        )
        self._reload_good.set(1)
        self._loaded = Gauge(
            "paretogate_config_loaded_timestamp_seconds",
            "When the configuration in use was taken up",
            tally=tally,
        )

    def reloaded(self, *, good: bool) -> None:
        """A configuration was read again, and taken up or refused."""
        self._reloads["success" if good else "failure"].inc()
        self._reload_good.set(good)

    def configured(self, fingerprint: str, at: float) -> None:
        """A configuration has been taken up; `at` is in seconds since the epoch."""
        self._config.clear()
        self._config.labels(fingerprint).set(1)
        self._loaded.set(at)

    def decided(self, batch: Batch) -> None:
        """One batch's solve."""
        self.steps[batch.step].inc()
        self.batch_size.observe(batch.size)
        self.gap.observe(batch.gap)
        self.joint_gain.inc(max(0, batch.gain) / NANO)
        self.holds.inc(batch.held)

    def answers(self, target: str, model: str, outcome: Outcome) -> Answers:
        """The children for queries of one kind; names that are not configured are `other`."""
        found = self._children.get((target, model, outcome))  # an outcome is a string with a hash of its own
        if found is None:
            key = (self._known(target), self._known(model), outcome.value)
            found = self._children.get(key) or self._children.setdefault(key, Answers(self._instruments, *key))
        return found

    def scored(self, target: str, model: str, *, predicted: float, score: float) -> None:
        """Feedback on an answer: its realised quality beside the predicted one, both 0..1."""
        self._feedback.scored(self._known(target), self._known(model), predicted=predicted, score=score)

    @property
    def shared(self) -> bool:
        """Whether other processes tell what is counted here."""
        return self._tally.shared is not None

    def totals(self) -> Totals:
        """What has been counted since the start, by route and model."""
        return totals(self._tally, self._instruments, self._feedback)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _known(self, name: str) -> str:
        return name if name in self._names else OTHER
