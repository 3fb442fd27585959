"""The README's plot: cost against success on one pool, from the out-of-fold estimates of `tests.bench.quality`.

    python -m tests.bench.frontier_plot --pool POOLS/reason19.parquet --cache CACHE --out docs/frontier.svg

What the cache does not hold is fitted first: five trainings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.lab import frontier
from gateway.lab.baselines import BLEND, CONSTANT
from gateway.lab.evaluate_figures import realised_of
from gateway.lab.report_svg import Chart
from gateway.lab.report_words import percent, usd
from tests.bench.quality_estimates import QUERY, estimates

if TYPE_CHECKING:
    from gateway.lab.frontier import Curve, Floats, Realised

WIDTH, HEIGHT = 860, 430
MARGIN = 0.02  # of success, below and above what is drawn
POINTS = 200  # of a drawn curve
GAP = 8  # units between a dot and its name
WORDS: Final = {"ours": "Paretogate", BLEND: "kNN + TF-IDF logistic + groups", CONSTANT: "mixing models blindly"}
STYLE: Final = """
text { fill: #57606a; font: 12px system-ui, sans-serif } .middle { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: #d0d7de; stroke-width: .7 } .model { fill: #8c959f } .best { fill: #cf222e }
.strong { font-weight: 600 } polyline { fill: none; stroke-width: 2 }
.ours { stroke: #0f766e; stroke-width: 3.5 } .blend { stroke: #8250df }
.constant { stroke: #bc4c00; stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } .grid { stroke: #30363d } .ours { stroke: #2dd4bf }
.blend { stroke: #a371f7 } .constant { stroke: #f0883e } .model { fill: #656c76 } .best { fill: #ff7b72 } }
"""


def main() -> None:
    """Reads or makes the estimates, writes the drawing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pool", "cache", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args()
    pool, given = estimates(asked.pool, QUERY, seed=0, quick=False, cache=asked.cache, tell=_tell)
    realised = realised_of(pool, given)
    curves = {"ours": _hull(given.quality, given.cost, realised)}
    curves |= {name: _hull(given.baselines[name], given.mean_cost, realised) for name in (BLEND, CONSTANT)}
    names = list(pool.models)
    asked.out.write_text(drawing(asked.pool.stem, names, realised, curves), encoding="utf-8")


def drawing(pool: str, names: list[str], realised: Realised, curves: dict[str, Curve]) -> str:
    """An SVG of its own, which follows the reader's light or dark scheme. Costs are USD per 1,000 queries."""
    cost = 1000 * np.nanmean(realised.cost, axis=0)
    success = np.nanmean(realised.score, axis=0)
    best = int(success.argmax())
    heights = [*success.tolist(), *(float(curve.success.max()) for curve in curves.values())]
    chart = Chart.framed(
        WIDTH,
        HEIGHT,
        (float(cost.min()) * 0.9, float(cost.max()) * 1.15),
        (min(heights) - MARGIN, max(heights) + MARGIN),
        log_x=True,
    )
    chart.axes("USD per 1,000 queries", "success", usd, lambda value: percent(value, 0))
    for column, name in enumerate(names):
        x, y = float(cost[column]), float(success[column])
        chart.dot(x, y, "best" if column == best else "model", radius=6 if column == best else 3.5, title=name)
    chart.text(chart.x(float(cost[best])), chart.y(float(success[best])) + 2.5 * GAP, names[best], "strong middle")
    for row, (name, words) in enumerate(reversed(WORDS.items())):
        curve = curves[name]
        costs = np.geomspace(curve.cost[0], curve.cost[-1], POINTS)  # a mix of two points bends on an axis of powers
        chart.line(list(zip((1000 * costs).tolist(), curve.at(costs).tolist(), strict=True)), name)
        at = 30 + 20 * (len(WORDS) - 1 - row)
        chart.parts.append(f'<polyline class="{name}" points="76,{at - 4} 106,{at - 4}"/>')
        chart.text(114, at, words)
    label = f"Cost against success on {pool}: {', '.join(WORDS.values())}; dots are models by themselves"
    head, _, body = chart.svg(label).partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{body}\n'


def _hull(quality: Floats, cost: Floats, realised: Realised) -> Curve:
    paid, score = realised.picked(frontier.sweep(quality, cost, realised))
    return frontier.envelope(paid.mean(axis=1), score.mean(axis=1), frontier.anchors(realised)[0])


def _tell(words: str) -> None:
    print(words, file=sys.stderr)


if __name__ == "__main__":
    main()
