"""One tree of spans per query, under the client's trace and above the upstream's; and one line per decision."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.domain import Outcome
from gateway.telling import BUFFER, Telling, line
from gateway.tracing import Traces
from tests.feedback.decisions import FLEET, settled

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from gateway.core.decision import Decision

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "gr\u00fc\u00dfe"  # what the query asks


def traced(decision: Decision, headers: dict[str, str]) -> dict[str, ReadableSpan]:
    """The spans of one query, by name."""
    exporter = InMemorySpanExporter()
    traces = Traces(wall=lambda: 1000.0, now=lambda: 0.0, processor=SimpleSpanProcessor(exporter))
    traces.begin(decision, "/chat/completions", headers)
    traces.end(decision, FLEET)
    traces.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_query_is_one_tree_with_the_conventions_attributes() -> None:
    spans = traced(settled(), {})
    root = spans.pop("chat auto")
    assert (root.kind, root.parent, root.status.status_code) == (SpanKind.SERVER, None, StatusCode.UNSET)
    assert root.attributes is not None
    assert dict(root.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "auto",
        "gen_ai.response.model": "org/large",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 30,
        "paretogate.decision.id": "dec_1",
        "paretogate.endpoint": "l",
        "paretogate.outcome": "served",
        "paretogate.predicted_quality": pytest.approx(0.7),
        "paretogate.predicted_cost_usd": 2e-4,
        "paretogate.cost_usd": 7e-4,
    }
    assert list(spans) == ["parse", "assign", "upstream"]
    assert all(child.parent == root.context for child in spans.values())
    edges = [(root.start_time, 1000.0), (root.end_time, 1000.5), (spans["upstream"].start_time, 1000.003)]
    assert all(got == pytest.approx(wanted * 1e9) for got, wanted in edges)


def test_the_clients_trace_goes_on_and_ours_goes_to_the_upstream() -> None:
    headers = {"traceparent": PARENT, "accept": "*/*"}
    root = traced(settled(), headers)["chat auto"]
    _, trace, parent, _ = PARENT.split("-")
    assert root.context is not None
    assert root.parent is not None
    assert (f"{root.context.trace_id:032x}", f"{root.parent.span_id:016x}") == (trace, parent)
    assert headers == {"traceparent": f"00-{trace}-{root.context.span_id:016x}-01", "accept": "*/*"}


def test_a_query_that_failed_says_how() -> None:
    decision = settled()
    decision.outcome = Outcome.UPSTREAM_FAILED
    root = traced(decision, {})["chat auto"]
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes is not None
    assert root.attributes["error.type"] == "upstream_failed"


def test_no_text_of_the_query_leaves() -> None:
    decision = settled()
    decision.error = SECRET
    spans = traced(decision, {})
    assert SECRET not in "".join(span.to_json() + str(span.attributes) for span in spans.values())
    assert SECRET not in json.dumps(json.loads(line(decision, at=1.0)), ensure_ascii=False)


def test_each_decision_is_one_line() -> None:
    written = StringIO()
    telling = Telling(wall=lambda: 5.0, stream=written)
    with telling.running():
        telling.tell(settled("dec_1"))
        telling.tell(settled("dec_2"))
    first, second = map(json.loads, written.getvalue().splitlines())
    assert (first["id"], second["id"], first["at"]) == ("dec_1", "dec_2", 5.0)
    assert (first["model"], first["cost_usd"], first["attempts"]) == ("org/large", 7e-4, ["s failed", "l answered"])
    assert {"messages", "error", "words"}.isdisjoint(first)


def test_a_reader_that_stops_reading_holds_up_nobody() -> None:
    written = StringIO()
    telling = Telling(wall=lambda: 5.0, stream=written)
    decision = settled()
    for _ in range(BUFFER + 50):  # nobody writes yet
        telling.tell(decision)
    with telling.running():
        pass
    lines = written.getvalue().splitlines()
    assert len(lines) == BUFFER
    assert json.loads(lines[0])["left_out"] == 50
