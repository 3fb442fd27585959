"""What a study found: results.json, plots and a page of words."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from gateway.lab.methods import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gateway.lab.simulate.study import Figures, Size

PLOTS: Final = {
    "cost_per_1k": "USD per 1,000 queries",
    "success": "realised success",
    "waited_mean": "mean seconds of waiting",
    "finish_p95": "seconds to finish, 95th percentile",
    "shed": "share shed",
}
MARKERS: Final = "osv^<>DPX*h"
COLUMNS: Final = {
    "cost_per_1k": "$/1k",
    "success": "success",
    "promise_error": "less asked",
    "waited_mean": "waited s",
    "waited_p95": "p95",
    "finish_mean": "finish s",
    "finish_p95": "p95",
    "shed": "shed",
    "decision_ms_p50": "decision ms p50",
    "decision_ms_p99": "p99",
}


def write(
    folder: Path,
    *,
    about: Mapping[str, Any],
    figures: Sequence[Figures],
    sizes: Sequence[Size],
) -> None:
    """results.json, report.md and one plot per figure."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "format": 1,
        **about,
        "runs": [asdict(each) for each in figures],
        "sizes": [asdict(each) for each in sizes],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(_page(about, figures, sizes), encoding="utf-8")
    for name, label in PLOTS.items():
        _plot(folder / f"{name}.png", name, label, figures)


def _page(about: Mapping[str, Any], figures: Sequence[Figures], sizes: Sequence[Size]) -> str:
    lines = ["# Simulation", "", *(f"- {name}: {value}" for name, value in about.items()), ""]
    lines += ["Service time is linear in tokens. Every endpoint is a column of a decision, as in the gateway, which"]
    lines += ["takes no virtual time but gathers for 2 ms. Nobody is held while some endpoint has room, but by eccos-r"]
    lines += ["below its quality. Who finds no room in 30 s is shed.", ""]
    for load in dict.fromkeys(each.load for each in figures):
        lines += [f"## Load {load:g}", "", "| method | " + " | ".join(COLUMNS.values()) + " |"]
        lines += ["|---" * (len(COLUMNS) + 1) + "|"]
        for each in figures:
            if each.load == load:
                cells = [f"{getattr(each, name):.4g}" for name in COLUMNS]
                lines += [f"| {each.method} | " + " | ".join(cells) + " |"]
        lines += [""]
    joint = [each for each in figures if each.method == OURS]
    if joint:
        lines += ["## Gain of the joint solve", "", "Saved by solving each batch as one, against the same batch one by"]
        lines += ["one: cost less quality at the carried multiplier, as a share of predicted cost.", ""]
        lines += ["| load | gain | batch mean |", "|---|---|---|"]
        lines += [f"| {each.load:g} | {100 * each.joint_gain:.2f} % | {each.batch_mean:.1f} |" for each in joint] + [""]
    if sizes:
        lines += ["## A decision's real time", "", "| endpoints | queries/s | batch mean | max | ms p50 | p99 | core |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [
            f"| {each.endpoints} | {each.rate:.0f} | {each.batch_mean:.1f} | {each.batch_max} | "
            f"{each.decision_ms_p50:.2f} | {each.decision_ms_p99:.2f} | {100 * each.busy:.0f} % |"
            for each in sizes
        ] + [""]
    lines += [f"![{label}]({name}.png)" for name, label in PLOTS.items()]
    return "\n".join(lines) + "\n"


def _plot(path: Path, name: str, label: str, figures: Sequence[Figures]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - of the offline extra
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, method in enumerate(dict.fromkeys(each.method for each in figures)):
        runs = [each for each in figures if each.method == method]
        ours = method == OURS
        axes.plot(
            [run.load for run in runs],
            [getattr(run, name) for run in runs],
            label=method,
            color="black" if ours else f"C{(number - 1) % 10}",
            linewidth=2.6 if ours else 1.1,
            marker=MARKERS[number % len(MARKERS)],
            markersize=3.5,
            zorder=3 if ours else 2,
        )
    axes.set_xlabel("load, as a share of capacity")
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.3)
    figure.legend(fontsize="small", loc="outside right upper")
    figure.savefig(path, dpi=100)
