"""Every instrument and its help text. Label values come from the configuration alone; anything else is `other`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.core.assignment import Step
from gateway.core.problem import NANO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.decision import Batch
    from gateway.domain import Outcome

OTHER: Final = "other"
PARTS: Final = ("parse", "window", "predict", "assign", "reserve", "connect")
PART_BUCKETS: Final = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30)
ANSWER_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
GAP_BUCKETS: Final = (0, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Predictions:
    """What became of the predictions that were asked for."""

    def __init__(self, counter: Counter) -> None:
        self.computed = counter.labels("computed")
        self.hit = counter.labels("cached")
        self.late = counter.labels("late")
        self.failed = counter.labels("failed")


class Sharing:
    """Told by the shared load book how it fares."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shared = Gauge("paretogate_load_shared", "1 while load is kept as configured", registry=registry)
        self._seconds = Histogram(
            "paretogate_load_exchange_seconds", "One exchange with Redis", buckets=PART_BUCKETS, registry=registry
        )
        self._failures = Counter(
            "paretogate_load_exchange_failures", "Exchanges that Redis did not answer in time", registry=registry
        )

    def sharing(self, *, shared: bool) -> None:
        self._shared.set(shared)

    def exchanged(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    def failed(self) -> None:
        self._failures.inc()


class Metrics:
    """The instruments of one process, their label children resolved once."""

    def __init__(self, routes: Iterable[str], models: Iterable[str], endpoints: Iterable[str]) -> None:
        self.registry = registry = CollectorRegistry()
        self._names = frozenset([*routes, *models])
        self.queries = Counter(
            "paretogate_queries", "Queries by how they ended", ["route", "model", "outcome"], registry=registry
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of one answer",
            ["gen_ai_response_model", "gen_ai_token_type"],
            buckets=TOKEN_BUCKETS,
            registry=registry,
        )
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From arrival to the last byte",
            ["gen_ai_request_model", "gen_ai_response_model"],
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self.first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From arrival to the first byte of content",
            ["gen_ai_request_model", "gen_ai_response_model"],
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self.cost = Counter("paretogate_cost_usd", "Cost of answers", ["route", "model", "kind"], registry=registry)
        self.quality = Counter(
            "paretogate_predicted_quality",
            "Sum of predicted quality of the choices",
            ["route", "model"],
            registry=registry,
        )
        self.counterfactual = Counter(
            "paretogate_counterfactual_cost_usd",
            "What the same queries were predicted to cost under another rule",
            ["route", "rule"],
            registry=registry,
        )
        parts = Histogram(
            "paretogate_overhead_seconds",
            "Time that the gateway adds to an answer, by part",
            ["part"],
            buckets=PART_BUCKETS,
            registry=registry,
        )
        self.parts = {part: parts.labels(part) for part in PARTS}
        self.predictions = Predictions(
            Counter("paretogate_predictions", "Predictions by what became of them", ["result"], registry=registry)
        )
        decisions = Counter("paretogate_decisions", "Batches decided, by solve step", ["step"], registry=registry)
        self.steps = {step.value: decisions.labels(step.value) for step in Step}
        self.batch_size = Histogram(
            "paretogate_batch_queries",
            "Queries decided together",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
            registry=registry,
        )
        self.gap = Histogram(
            "paretogate_solver_gap_ratio", "Proven distance to the optimum", buckets=GAP_BUCKETS, registry=registry
        )
        self.joint_gain = Counter(
            "paretogate_joint_gain_usd",
            "Saved by deciding jointly, against one query after the other",
            registry=registry,
        )
        self.waiting = Gauge(
            "paretogate_waiting_queries", "Queries that wait for a decision or for room", registry=registry
        )
        self._leases = Gauge("paretogate_leases", "Slots held, over all replicas", ["endpoint"], registry=registry)
        self.leases = {name: self._leases.labels(name) for name in endpoints}
        attempts = Counter(
            "paretogate_attempts", "Queries sent to an endpoint, by result", ["endpoint", "result"], registry=registry
        )
        self.attempts = {
            name: {result: attempts.labels(name, result) for result in ("answered", "busy", "failed", "rejected")}
            for name in self.leases
        }
        self.multiplier = Gauge(
            "paretogate_multiplier_usd", "What a route pays for one unit of quality", ["route"], registry=registry
        )
        self.load = Sharing(registry)
        self._children: dict[tuple[str, str, str], Answers] = {}

    def decided(self, batch: Batch) -> None:
        """One batch's solve."""
        self.steps[batch.step].inc()
        self.batch_size.observe(batch.size)
        self.gap.observe(batch.gap)
        self.joint_gain.inc(max(0, batch.gain) / NANO)

    def answers(self, target: str, model: str, outcome: Outcome) -> Answers:
        """The children for queries of one kind; names that are not configured are `other`."""
        key = (target if target in self._names else OTHER, model if model in self._names else OTHER, outcome.value)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = Answers(self, *key)
        return found

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class Answers:
    """Children of the instruments that settling one query touches."""

    __slots__ = (
        "actual_cost",
        "best",
        "cheapest",
        "duration",
        "first_token",
        "input_tokens",
        "output_tokens",
        "predicted_cost",
        "predicted_quality",
        "queries",
    )

    def __init__(self, metrics: Metrics, target: str, model: str, outcome: str) -> None:
        self.queries = metrics.queries.labels(target, model, outcome)
        self.duration = metrics.duration.labels(target, model)
        self.first_token = metrics.first_token.labels(target, model)
        self.input_tokens = metrics.tokens.labels(model, "input")
        self.output_tokens = metrics.tokens.labels(model, "output")
        self.actual_cost = metrics.cost.labels(target, model, "actual")
        self.predicted_cost = metrics.cost.labels(target, model, "predicted")
        self.predicted_quality = metrics.quality.labels(target, model)
        self.best = metrics.counterfactual.labels(target, "best")
        self.cheapest = metrics.counterfactual.labels(target, "cheapest")
