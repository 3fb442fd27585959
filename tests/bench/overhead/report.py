"""The figures of a run in words, and the table of docs/benchmarks.md.

What is compared is compared round by round, and the median told: a shared machine may be twice as fast a minute later.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- overhead: begin -->"
END: Final = "<!-- overhead: end -->"
Results = dict[str, Any]


def line(row: Results) -> str:
    """One row of rates."""
    low, high = row["spread"]
    kind = "stream" if row["stream"] else "whole"
    return (
        f"{row['connections']:3} {kind:6} {row['row']:16} {row['rate']:8.0f} requests/s ({low:.0f} to {high:.0f})"
        f"  p50 {row['p50_ms']:7.2f} ms  p99 {row['p99_ms']:7.2f} ms  {row['cpu_us']:6.0f} µs CPU"
    )


def ratios(results: Results) -> list[tuple[str, float, str]]:
    """What is measured, the figure, and what it is to be."""
    found = [(f"{name} at 16 against {other}", _ratio(results, name, other), goal) for name, other, goal in (
        ("pinned", "bare", "≥ 0.55"),
        ("auto", "pinned", "≥ 0.30"),
        ("pinned", "vllm-router", "≥ 0.4"),
        ("pinned", "portkey", "≥ 4"),
        ("pinned", "litellm", "≥ 30"),
    )]  # fmt: skip
    found.append(
        ("streams, pinned at 16 against vllm-router", _ratio(results, "pinned", "vllm-router", stream=True), "≥ 0.5")
    )
    found += [
        (f"CPU of {what}, {other} against pinned", _ratio(results, other, "pinned", "cpu_us", stream=stream), "")
        for what, other, stream in (
            ("a request at 16", "bare", False),
            ("a request at 16", "vllm-router", False),
            ("a stream", "vllm-router", True),
        )
    ]
    for name, goal in (("bare", ""), ("pinned", "≤ 0.6"), ("auto", "≤ 3")):
        through, direct = (_column(results, each, "p50_ms", 1) for each in (name, "direct"))
        if through and direct:
            found.append((f"{name} at 1, added to p50, ms", _added(through, direct), goal))
    chunk, slow, workers = results["first_chunk_ms"], results["slow"], results["workers_cpu_us"]
    found += [
        ("first chunk, pinned, added to p50, ms", _added(chunk["pinned"], chunk["direct"]), "≤ 1"),
        ("first chunk, auto, added to p50, ms", _added(chunk["auto"], chunk["direct"]), ""),
        ("share of a 2 s answer, auto, 64 clients, p50, %", slow["p50"] * 100, "< 0.5"),
        ("share of a 2 s answer, auto, 64 clients, p99, %", slow["p99"] * 100, "< 2"),
        ("the same by our own headers, p50, %", slow["told_p50"] * 100, ""),
        ("the same by our own headers, p99, %", slow["told_p99"] * 100, ""),
        ("start to ready, s", results["start_s"], "≤ 1.5"),
        ("memory when all is loaded, MB", results["start_rss_mb"], "≤ 250"),
        ("CPU of a query, two workers against one", _over(workers["two"], workers["one"]), "≤ 1.15"),
        ("parts of the overhead against its total, off by at most, %", results["parts_off"] * 100, "≤ 1"),
        ("predictions that were remembered, %", results["cached_share"] * 100, ""),
    ]
    return [each for each in found if each[1] == each[1]]  # what was not measured is no number


def summary(results: Results) -> list[str]:
    versions = [
        f"{name} {each['version']}: {each['flags']}" for name, each in results["targets"].items() if each["version"]
    ]
    return [*versions, *(f"{what}: {value:.3g} {goal and f'(to be {goal})'}" for what, value, goal in ratios(results))]


def write(results: Results) -> None:
    """Puts the tables between their marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{_tables(results)}\n{END}{after}", encoding="utf-8")


def _tables(results: Results) -> str:
    rows = [_cells(results, row) for row in results["rows"]]
    goals = [f"| {what} | {value:.3g} | {goal} |" for what, value, goal in ratios(results)]
    versions = "; ".join(
        f"{name} {each['version']} ({each['flags']})" for name, each in results["targets"].items() if each["version"]
    )
    rounds = f"medians of {results['repeats']} interleaved rounds of {results['seconds']} s, ratios by round"
    return "\n".join([
        f"Commit {results['commit']}, {results['machine']}, two shared cores; {rounds}. {versions}.",
        "",
        "| who | connections | answer | requests/s | spread | p50, ms | p99, ms | CPU, µs each | memory after, MB |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "| what | measured | aim |",
        "|---|---|---|",
        *goals,
    ])  # fmt: skip


def _cells(results: Results, row: Results) -> str:
    low, high = row["spread"]
    held = results["rss_mb"].get(row["row"])
    cells = (
        *(row["row"], row["connections"], "20 chunks" if row["stream"] else "whole"),
        *(f"{row['rate']:.0f}", f"{low:.0f} to {high:.0f}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}"),
        f"{row['cpu_us']:.0f}" if row["cpu_us"] else "",
        f"{held:.0f}" if held else "",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _column(results: Results, name: str, what: str, connections: int, *, stream: bool = False) -> list[float]:
    """Of each round; empty where it was not measured."""
    wanted = (name, connections, stream)
    rows = (row for row in results["rows"] if (row["row"], row["connections"], row["stream"]) == wanted)
    return [taken[what] for row in rows for taken in row["rounds"]]


def _ratio(results: Results, name: str, other: str, what: str = "rate", *, stream: bool = False) -> float:
    one, two = (_column(results, each, what, 16, stream=stream) for each in (name, other))
    return _over(one, two) if one and two else float("nan")


def _over(one: Sequence[float], two: Sequence[float]) -> float:
    return median(mine / theirs for mine, theirs in zip(one, two, strict=True))


def _added(one: Sequence[float], two: Sequence[float]) -> float:
    return median(mine - theirs for mine, theirs in zip(one, two, strict=True))
