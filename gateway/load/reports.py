"""What endpoints say of themselves: the like of vLLM in /metrics, Ollama in /api/ps, the like of OpenAI in headers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.load.base import Foreign, Remaining

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import Capacity

# By their present and former names. SGLang and llama.cpp stand behind the same API and say the same things.
RUNNING = ("vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing")
WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred")
KV_USAGE = (
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",  # until vLLM 0.10
    "sglang:token_usage",
    "llamacpp:kv_cache_usage_ratio",
)

# By these names only: a page has thousands of other samples, and it is read on the loop.
SAMPLE = re.compile(rf"^({'|'.join(RUNNING + WAITING + KV_USAGE)})(?:\{{[^}}]*\}})?[ \t]+(\S+)", re.MULTILINE)
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
UNSAID_RESET_S = 5.0  # how long a remainder without a reset time is believed
LONGEST_RESET_S = 60.0  # rates are per minute; a longer one is of another limit, and room grows meanwhile


@dataclass(frozen=True, slots=True)
class Report:
    """What an endpoint said of its load; None is unsaid."""

    running: int | None = None  # queries
    waiting: int | None = None
    kv_usage: float | None = None  # share of the KV cache in use, 0..1
    loaded: bool | None = None  # whether the model is in memory


class _Running(msgspec.Struct):
    name: str = ""
    model: str = ""


class _Processes(msgspec.Struct):
    models: list[_Running] = []


def vllm_report(metrics: str) -> Report:
    """Reads a metrics page. Engines of one server are added up; their KV usage is averaged."""
    samples: dict[str, list[float]] = {}
    for name, text in SAMPLE.findall(metrics):
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            samples.setdefault(name, []).append(value)

    def first(names: tuple[str, ...]) -> list[float]:
        return next((samples[name] for name in names if name in samples), [])

    running, waiting, usage = first(RUNNING), first(WAITING), first(KV_USAGE)
    return Report(
        running=round(sum(running)) if running else None,
        waiting=round(sum(waiting)) if waiting else None,
        kv_usage=min(1.0, max(0.0, sum(usage) / len(usage))) if usage else None,
    )


def ollama_report(body: bytes, model: str) -> Report:
    """Reads /api/ps, which tells only what is in memory. A name without a tag is its `latest`."""
    try:
        processes = msgspec.json.decode(body, type=_Processes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Report()
    names = {name for process in processes.models for name in (process.name, process.model)}
    return Report(loaded=model in names or f"{model}:latest" in names)


def remaining(headers: Mapping[str, str], now: float) -> Remaining | None:
    """Reads `x-ratelimit-*` of an answer; None when there are none. `now` is in seconds of the book's clock."""
    requests = _count(headers.get("x-ratelimit-remaining-requests"))
    tokens = _count(headers.get("x-ratelimit-remaining-tokens"))
    if requests is None and tokens is None:
        return None
    return Remaining(
        requests=requests,
        tokens=tokens,
        requests_until=now + _reset(headers, "requests"),
        tokens_until=now + _reset(headers, "tokens"),
    )


def duration(text: str) -> float | None:
    """Seconds of "1m12.5s", "20ms" or a plain number; None when it is none of these."""
    try:
        plain = float(text)
    except ValueError:
        parts = DURATION.findall(text)
        if "".join(number + unit for number, unit in parts) != text or not parts:
            return None
        return sum(float(number) * SECONDS[unit] for number, unit in parts)
    return plain if math.isfinite(plain) and plain >= 0 else None


def foreign(report: Report, ours: int, capacity: Capacity, until: float) -> Foreign:
    """The part of the reported load that is not ours.

    Args:
        report: what the endpoint said.
        ours: leases held there, by all replicas, as of the report; whoever is unsure gives the larger number.
        capacity: the endpoint's.
        until: when the report will be stale.
    """
    there = (report.running or 0) + (report.waiting or 0)
    others = max(0, there - ours)
    kv = 0
    if others and report.kv_usage is not None and capacity.kv_tokens is not None:
        kv = math.ceil(report.kv_usage * capacity.kv_tokens * others / there)
    return Foreign(slots=others, kv=kv, until=until)


def _count(text: str | None) -> int | None:
    try:
        return None if text is None else max(0, int(float(text)))
    except (ValueError, OverflowError):
        return None


def _reset(headers: Mapping[str, str], what: str) -> float:
    said = headers.get(f"x-ratelimit-reset-{what}") or headers.get("x-ratelimit-reset") or ""
    seconds = duration(said.strip())
    return UNSAID_RESET_S if seconds is None else min(seconds, LONGEST_RESET_S)
