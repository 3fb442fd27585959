"""The page is what Prometheus takes, what the documents say, and bounded whatever clients send."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.core.breaker import State
from gateway.domain import Outcome
from gateway.errors import NoHeadroomError, PermissionDeniedError, RateLimitError
from gateway.metrics import PARTS, LoopLag, Metrics
from gateway.metrics.lag import PERIOD_S
from gateway.metrics.tally import Across, Counter, Gauge, Histogram, Tally

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ?([\w, ]*?) ?\|", re.MULTILINE)


def used() -> Metrics:
    """Every instrument with a value."""
    metrics = Metrics(["auto"], ["small", "org/large"], ["one", "two"], {"small": "vllm"}, keys=["shop"])
    for outcome in Outcome:
        answers = metrics.answers("auto", "small", outcome)
        answers.queries.inc()
        answers.input_tokens.observe(10)
        answers.per_token.observe(0.1)
        answers.actual_cost.inc(0.01)
    metrics.scored("auto", "small", predicted=1.0, score=0.5)
    metrics.configured("abc", 1.0)
    metrics.endpoints.state("one", State.OPEN)
    metrics.endpoints.reported("one", running=3, waiting=0, kv_usage=0.5)
    metrics.routes.bias.labels("auto").set(0.1)
    metrics.multiplier.labels("auto").set(0.1)
    metrics.routes.quality("auto", {"asked": 0.8, "realised": None})
    metrics.routes.cost("auto", {"asked": 0.5})
    metrics.load.sharing(shared=True)
    metrics.keys.remaining("shop", 1.0)
    metrics.keys.refused("shop", RateLimitError("no"))
    return metrics


def families(metrics: Metrics) -> dict[str, Metric]:
    """By the name that is queried: a counter's has _total."""
    return {family.name + "_total" * (family.type == "counter"): family for family in metrics.registry.collect()}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    documented = {
        name: (kind, set(filter(None, labels.split(", "))))
        for name, kind, labels in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    }
    known = {}
    for name, family in families(used()).items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        known[name] = (family.type, labels)
    assert documented == known


def test_prometheus_own_tool_finds_nothing_to_complain_of() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; tests/servers.sh installs it")
    result = subprocess.run([promtool, "check", "metrics"], input=used().page(), capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_thousand_mistyped_names_add_no_series() -> None:
    metrics = used()
    metrics.answers("auto-0", "", Outcome.INVALID).queries.inc()
    lines = metrics.page().count(b"\n")
    for number in range(1_000):
        metrics.answers(f"auto-{number}", f"gpt-{number}", Outcome.INVALID).queries.inc()
        metrics.scored(f"auto-{number}", "small", predicted=0.5, score=1.0)
    added = metrics.page().count(b"\n") - lines
    assert value(metrics, "paretogate_queries_total", route="other", model="other", outcome="invalid") == 1001
    assert added < 10  # those of `other` itself, for feedback
    assert b"gpt-7" not in metrics.page()


def test_feedback_is_counted_beside_what_was_predicted_in_its_bin() -> None:
    metrics = used()
    metrics.scored("auto", "small", predicted=0.65, score=1.0)
    metrics.scored("auto", "small", predicted=0.61, score=0.0)
    assert value(metrics, "paretogate_calibration_answers_total", route="auto", bin="0.6-0.7") == 2
    assert value(metrics, "paretogate_calibration_quality_total", route="auto", bin="0.6-0.7") == 1
    assert value(metrics, "paretogate_feedback_predicted_quality_total", route="auto", model="small") == 2.26


def test_another_configuration_replaces_the_hash() -> None:
    metrics = used()
    metrics.configured("def", 2.0)
    assert value(metrics, "paretogate_config_info", hash="def") == 1
    assert value(metrics, "paretogate_config_info", hash="abc") is None
    assert value(metrics, "paretogate_config_loaded_timestamp_seconds") == 2.0


def test_a_breaker_has_one_state() -> None:
    metrics = used()
    metrics.endpoints.state("one", State.HALF_OPEN)
    states = [value(metrics, "paretogate_endpoint_state", endpoint="one", state=state) for state in State]
    assert states == [0, 0, 1]


def test_parts_of_the_overhead_are_those_that_are_measured() -> None:
    assert set(used().parts) == set(PARTS)


async def test_the_loop_is_timed_while_the_block_is_open() -> None:
    tally, registry = Tally(), CollectorRegistry()
    registry.register(tally)
    seen = Histogram("lag", "lag", buckets=(1,), tally=tally)
    loop = asyncio.get_running_loop()
    with LoopLag(loop, seen):
        rung = asyncio.Event()
        loop.call_later(2.5 * PERIOD_S, rung.set)
        await rung.wait()
    assert registry.get_sample_value("lag_count") in {1, 2}  # a late timer is the next one's start


def counted(tally: Tally) -> dict[str, float]:
    """Samples without labels, and those of `kind`."""
    samples = [sample for metric in tally.collect() for sample in metric.samples]
    return {sample.name + "".join(sorted(sample.labels.values())): sample.value for sample in samples}


def instruments(tally: Tally) -> tuple[Counter, Histogram, dict[Across, Gauge]]:
    """One of each, in any order of their making."""
    answers = Counter("answers", "of a kind", ["kind"], tally=tally)
    seconds = Histogram("seconds", "of an answer", buckets=(1.0, 2.0), tally=tally)
    return answers, seconds, {each: Gauge(each.value, "as it is", tally=tally, across=each) for each in Across}


def test_a_histogram_counts_what_is_at_most_a_bound_below_it() -> None:
    _, seconds, _ = instruments(tally := Tally())
    for value_s in (0.5, 1.0, 1.5, 2.5):
        seconds.observe(value_s)
    told = counted(tally)
    assert [told[f"seconds_bucket{bound}"] for bound in ("1.0", "2.0", "+Inf")] == [2, 3, 4]
    assert (told["seconds_count"], told["seconds_sum"]) == (4, 5.5)


def test_several_processes_tell_the_sum(tmp_path: Path) -> None:
    """Tallies of one folder stand for processes; one that has ended, which this test really starts, stays counted."""
    one, two = Tally(tmp_path), Tally(tmp_path)
    for tally, count, value_s in ((one, 1, 0.5), (two, 10, 3.0)):
        answers, seconds, gauges = instruments(tally)
        answers.labels("good").inc(count)
        seconds.observe(value_s)
        for gauge in gauges.values():
            gauge.set(count)
    two.families["answers"].labels("bad")
    program = (
        "import sys; from pathlib import Path; from gateway.metrics.tally import Counter, Gauge, Tally, Across;"
        "tally = Tally(Path(sys.argv[1]));"
        "Counter('answers', 'of a kind', ['kind'], tally=tally).labels('good').inc(100);"
        "Gauge('sum', 'as it is', tally=tally, across=Across.SUM).set(100)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
    for tally, own in ((one, 1), (two, 10)):
        told = counted(tally)
        assert (told["answers_totalgood"], told["answers_totalbad"]) == (111, 0)
        assert (told["seconds_count"], told["seconds_sum"], told["seconds_bucket1.0"]) == (2, 3.5, 1)
        assert [told[each.value] for each in (Across.OWN, Across.SUM, Across.MOST, Across.LEAST)] == [own, 11, 10, 1]


def test_the_figures_of_all_processes_are_added_up(tmp_path: Path) -> None:
    alone, both = Tally(tmp_path), Tally(tmp_path)
    assert both.shared is not None
    [memory] = [m for m in both.shared.collect() if m.name == "process_resident_memory_bytes"]
    assert alone.shared is not None
    assert memory.samples[0].value > 2**20  # one process, however many tallies it has
    assert {m.name for m in alone.shared.collect()} >= {"process_cpu_seconds", "process_start_time_seconds"}


def test_a_caller_is_counted_by_its_configured_name_alone() -> None:
    metrics = used()
    for name in ("shop", "pg-secret"):
        metrics.keys.spent(name, 0.5)
        metrics.keys.refused(name, PermissionDeniedError("no"))
    metrics.keys.refused("shop", NoHeadroomError("no"))
    assert value(metrics, "paretogate_key_spend_usd_total", key="shop") == 0.5
    assert value(metrics, "paretogate_key_rejections_total", key="shop", reason="permission") == 1
    assert value(metrics, "paretogate_key_rejections_total", key="other", reason="permission") == 1
    assert b"pg-secret" not in metrics.page()
