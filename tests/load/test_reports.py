"""What endpoints say, in the words of each kind and version, and in nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Capacity
from gateway.load.base import Foreign, Remaining
from gateway.load.reports import Report, duration, foreign, ollama_report, remaining, vllm_report

PRESENT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
"""
FORMER = """\
vllm:num_requests_running{model_name="m"} 1.0 1700000000000
vllm:num_requests_waiting{model_name="m"} 1e1
vllm:gpu_cache_usage_perc{model_name="m"} 0.125
"""


@pytest.mark.parametrize(
    ("page", "report"),
    [
        (PRESENT, Report(running=5, waiting=4, kv_usage=0.375)),
        (FORMER, Report(running=1, waiting=10, kv_usage=0.125)),
        ("llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n", Report(running=2, waiting=1)),
        ("vllm:num_requests_running NaN\nvllm:num_requests_waiting many\n", Report()),
        ("vllm:kv_cache_usage_perc 7\n", Report(kv_usage=1.0)),
        ("<html>not found</html>", Report()),
        ("", Report()),
    ],
)
def test_a_metrics_page_by_its_present_and_former_names(page: str, report: Report) -> None:
    assert vllm_report(page) == report


@given(st.text())
def test_no_page_is_too_strange(page: str) -> None:
    assert vllm_report(page) == Report()
    assert ollama_report(page.encode("utf-8", "surrogatepass"), "m").loaded is not True


def test_ollama_tells_what_is_loaded() -> None:
    body = b'{"models":[{"name":"qwen3:8b","model":"qwen3:8b","size_vram":5},{"name":"phi4:latest"}]}'
    assert ollama_report(body, "qwen3:8b") == Report(loaded=True)
    assert ollama_report(body, "phi4") == Report(loaded=True)
    assert ollama_report(body, "qwen3") == Report(loaded=False)
    assert ollama_report(b'{"models":[]}', "phi4") == Report(loaded=False)


def test_rates_are_read_from_an_answers_headers() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert remaining(headers, 100.0) == Remaining(59, 149984, 101.0, 160.0)
    assert remaining({"x-ratelimit-remaining-tokens": "7"}, 100.0) == Remaining(None, 7, 105.0, 105.0)
    assert remaining({"content-type": "text/html"}, 100.0) is None
    assert remaining({"x-ratelimit-remaining-tokens": "plenty"}, 100.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("1m12.5s", 72.5), ("20ms", 0.02), ("1h0m0s", 3600.0), ("2d", 172800.0), ("3.5", 3.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1s later", "-1", "nan", "inf", "1x"])
def test_what_is_no_duration(text: str) -> None:
    assert duration(text) is None


def test_foreign_load_is_what_is_there_beyond_ours() -> None:
    capacity = Capacity(16, kv_tokens=1000)
    report = Report(running=6, waiting=2, kv_usage=0.5)
    assert foreign(report, 8, capacity, 9.0) == Foreign(until=9.0)
    assert foreign(report, 12, capacity, 9.0) == Foreign(until=9.0)
    assert foreign(report, 2, capacity, 9.0) == Foreign(slots=6, kv=375, until=9.0)
    assert foreign(report, 2, Capacity(16), 9.0) == Foreign(slots=6, until=9.0)
    assert foreign(Report(loaded=True), 2, capacity, 9.0) == Foreign(until=9.0)
