"""Endpoints: what they can take, hold and report; how attempts there go; and how the shared book fares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.breaker import State
from gateway.metrics import buckets
from gateway.metrics.tally import Across, Counter, Gauge, Histogram, Number, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESULTS: Final = ("answered", "busy", "failed", "rejected")


class Predictions:
    """What became of the predictions that were asked for."""

    def __init__(self, tally: Tally) -> None:
        counter = Counter("paretogate_predictions", "Predictions by what became of them", ["result"], tally=tally)
        self.computed = counter.labels("computed")
        self.hit = counter.labels("cached")
        self.late = counter.labels("late")
        self.failed = counter.labels("failed")
        self.away = counter.labels("away")
        self.service_up = Gauge(
            "paretogate_predictor_service_up",
            "1 while the predictor service is asked; 0 while it is away, or none is configured",
            tally=tally,
            across=Across.LEAST,
        )


class Sharing:
    """Told by the shared load book how it fares."""

    def __init__(self, tally: Tally) -> None:
        self._shared = Gauge(
            "paretogate_load_shared", "1 while load is kept as configured", tally=tally, across=Across.LEAST
        )
        self._seconds = Histogram(
            "paretogate_load_exchange_seconds", "One exchange with Redis", buckets=buckets.PARTS, tally=tally
        )
        self._failures = Counter(
            "paretogate_load_exchange_failures", "Exchanges that Redis did not answer in time", tally=tally
        )

    def sharing(self, *, shared: bool) -> None:
        self._shared.set(shared)

    def exchanged(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    def failed(self) -> None:
        self._failures.inc()


class LogKeeping:
    """Told by the decision log's writer how it fares."""

    def __init__(self, tally: Tally) -> None:
        rows = Counter(
            "paretogate_log_decisions",
            "Decisions on their way to the log, by what became",
            ["result"],
            tally=tally,
        )
        self._written, self._dropped = rows.labels("written"), rows.labels("dropped")
        self._waiting = Gauge(
            "paretogate_log_waiting_decisions", "Decisions that wait to be written", tally=tally, across=Across.SUM
        )
        self._failures = Counter(
            "paretogate_log_failures", "Times that the log's database did not take them", tally=tally
        )

    def written(self, rows: int) -> None:
        self._written.inc(rows)

    def dropped(self, rows: int) -> None:
        self._dropped.inc(rows)

    def waiting(self, rows: int) -> None:
        self._waiting.set(rows)

    def failed(self) -> None:
        self._failures.inc()


class EndpointGauges:
    """As of the last look: whoever serves the page sets them."""

    def __init__(self, tally: Tally, endpoints: Sequence[str]) -> None:
        self._families: list[tuple[dict[str, Number], Gauge]] = []

        def gauge(name: str, words: str, across: Across | None = None) -> dict[str, Number]:
            children: dict[str, Number] = {}
            self._families.append((children, Gauge(name, words, ["endpoint"], tally=tally, across=across)))
            return children

        self.leases = gauge("paretogate_leases", "Slots held, over all replicas")
        self.capacity = gauge("paretogate_capacity_slots", "Slots that the configuration gives")
        self.headroom = gauge("paretogate_headroom_slots", "Queries that could be placed now")
        self.seconds = gauge(
            "paretogate_endpoint_answer_seconds", "Expected time of an answer of its usual length, at its present load"
        )
        self._reported = Gauge(
            "paretogate_endpoint_reported_queries",
            "What the endpoint itself reports: queries running and waiting there",
            ["endpoint", "state"],
            tally=tally,
        )
        self._kv = Gauge(
            "paretogate_endpoint_kv_usage_ratio",
            "Share of its KV cache in use, as the endpoint reports it",
            ["endpoint"],
            tally=tally,
        )
        self.report_stale = gauge(
            "paretogate_endpoint_report_stale", "1 when it should report its load and does not", Across.MOST
        )
        self._state = Gauge(
            "paretogate_endpoint_state",
            "1 for the state of its breaker",
            ["endpoint", "state"],
            tally=tally,
            across=Across.MOST,
        )
        self._states: dict[str, dict[State, Number]] = {}
        self._attempts = Counter(
            "paretogate_attempts", "Queries sent to an endpoint, by result", ["endpoint", "result"], tally=tally
        )
        self.attempts: dict[str, dict[str, Number]] = {}
        self.know(endpoints)

    def know(self, endpoints: Iterable[str]) -> None:
        """These are configured now, too."""
        for name in endpoints:
            for children, family in self._families:
                children[name] = family.labels(name)
            self._states[name] = {state: self._state.labels(name, state.value) for state in State}
            self.attempts[name] = {result: self._attempts.labels(name, result) for result in RESULTS}

    def gone(self, endpoints: Iterable[str]) -> None:
        """These are not configured any more, and nothing runs there."""
        for name in endpoints:
            for children, _ in self._families:
                children[name].set(0)
            for child in self._states[name].values():
                child.set(0)

    def state(self, endpoint: str, now: State) -> None:
        for state, child in self._states[endpoint].items():
            child.set(state is now)

    def reported(self, endpoint: str, *, running: int | None, waiting: int | None, kv_usage: float | None) -> None:
        """What an endpoint does not say has no series."""
        if running is not None:
            self._reported.labels(endpoint, "running").set(running)
        if waiting is not None:
            self._reported.labels(endpoint, "waiting").set(waiting)
        if kv_usage is not None:
            self._kv.labels(endpoint).set(kv_usage)
