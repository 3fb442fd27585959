"""OpenTelemetry: one tree of spans per query. The only module that knows its SDK, imported where traces are asked for.

The root begins when the query is admitted, under the client's `traceparent`, and its own goes to the upstream. What the
gateway did is known as parts that sum to its overhead, so the children are laid end to end when the query has ended.
Names and attributes are those of the conventions for generative AI; no text of a query or an answer is among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import __version__
from gateway.domain import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet

NANO: Final = 1_000_000_000
OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/responses": "chat",
}


class Traces:
    """Spans of the queries that are under way, by their id.

    Args:
        wall: seconds since the epoch.
        now: seconds of the loop's clock.
        processor: where ended spans go; by default a queue and thread that export by OTLP, as OTEL_* variables say.
    """

    def __init__(
        self, *, wall: Callable[[], float], now: Callable[[], float], processor: SpanProcessor | None = None
    ) -> None:
        resource = Resource.create({SERVICE_NAME: "paretogate", SERVICE_VERSION: __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("paretogate", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._wall = wall
        self._now = now
        self._open: dict[str, tuple[Span, float]] = {}  # the root, and when its query arrived, since the epoch

    def begin(self, decision: Decision, path: str, headers: MutableMapping[str, str]) -> None:
        """A query has been admitted. The headers that go on to the upstream name this span from now on."""
        query, operation = decision.query, OPERATIONS[path]
        arrived = self._wall() - (self._now() - query.arrived_at)
        span = self._tracer.start_span(
            f"{operation} {query.target}",
            self._propagator.extract(headers),
            SpanKind.SERVER,
            {
                "gen_ai.operation.name": operation,
                "gen_ai.request.model": query.target,
                "paretogate.decision.id": query.id,
            },
            start_time=round(arrived * NANO),
        )
        self._propagator.inject(headers, set_span_in_context(span))
        self._open[query.id] = span, arrived

    def end(self, decision: Decision, fleet: Fleet) -> None:
        """The query has been settled. One that never began is passed over."""
        span, arrived = self._open.pop(decision.query.id, (None, 0.0))
        if span is None:
            return
        for name, value in _attributes(decision, fleet).items():
            if value is not None:
                span.set_attribute(name, value)
        if decision.outcome is not Outcome.SERVED and decision.outcome is not None:
            span.set_attribute("error.type", decision.outcome.value)
            span.set_status(StatusCode.ERROR)
        self._children(decision, span, arrived)
        span.end(round((arrived + (decision.total_s or 0.0)) * NANO))

    def close(self) -> None:
        """Sends what waits to be sent."""
        self._provider.shutdown()

    def _children(self, decision: Decision, root: Span, arrived: float) -> None:
        context, at = set_span_in_context(root), arrived
        for part, seconds in decision.watch.parts.items():
            child = self._tracer.start_span(part, context, start_time=round(at * NANO))
            at += seconds
            child.end(round(at * NANO))
        ended = arrived + (decision.total_s or 0.0)
        if decision.attempts:
            attributes = {
                "paretogate.endpoint": decision.endpoint,
                "paretogate.attempts": [f"{each.endpoint} {each.result}" for each in decision.attempts],
            }
            child = self._tracer.start_span(
                "upstream", context, SpanKind.CLIENT, attributes, start_time=round(at * NANO)
            )
            child.end(round(max(at, ended) * NANO))


def _attributes(decision: Decision, fleet: Fleet) -> dict[str, AttributeValue | None]:
    usage, place = decision.usage, fleet.endpoint_index.get(decision.endpoint)
    return {
        "gen_ai.response.model": decision.model or None,
        "gen_ai.provider.name": None if place is None else fleet.endpoints[place].kind.value,
        "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
        "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        "paretogate.endpoint": decision.endpoint or None,
        "paretogate.outcome": decision.outcome.value if decision.outcome else None,
        "paretogate.predicted_quality": decision.expected.quality if decision.model else None,
        "paretogate.predicted_cost_usd": decision.expected.cost_usd if decision.model else None,
        "paretogate.cost_usd": decision.cost_usd,
    }
