"""Charts of estimates against what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lab.report_svg import COLUMN, NARROW, Chart, both
from gateway.lab.report_words import percent, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.lab.evaluate_results import Amounts, Bin, PoolResult, Reliability

SMALL = 148  # units across one model's diagram


def reliability(pool: PoolResult, curves: Sequence[Reliability]) -> str:
    """Ours and the baselines over all models, with how many estimates lie where."""
    return both(lambda width: _reliability(pool, curves, min(width, COLUMN)))


def _reliability(pool: PoolResult, curves: Sequence[Reliability], width: float) -> str:
    chart = Chart.framed(width, 400 if width > NARROW else 360, (0, 1), (0, 1))
    chart.axes(
        "predicted success", "realised success", lambda value: percent(value, 0), lambda value: percent(value, 0), 5
    )
    chart.line([(0, 0), (1, 1)], "zero")
    most = max(each.count for each in curves[0].bins)
    for each in curves[0].bins:
        tall = 0.16 * each.count / most
        low = int(each.predicted * 10) / 10
        chart.area([(low + 0.01, tall), (low + 0.09, tall)], [(low + 0.01, 0), (low + 0.09, 0)], "histogram")
    for curve in reversed(curves):
        chart.open(f"series m-{curve.name}")
        chart.line([(each.predicted, each.realised) for each in curve.bins], "curve")
        for each in curve.bins:
            title = f"{curve.label}: {_words(each)}"
            chart.dot(each.predicted, each.realised, "bead", radius=3, title=title)
        chart.close()
    return chart.svg(f"Reliability on {pool.name}", "reliability")


def by_model(pool: PoolResult, ours: Reliability) -> str:
    """One small diagram per model."""
    drawn = (_small(model.name, bins) for model, bins in zip(pool.models, ours.models, strict=True) if bins)
    return f'<div class="small-multiples">{"".join(drawn)}</div>'


def _small(name: str, bins: Sequence[Bin]) -> str:
    chart = Chart.framed(SMALL, SMALL - 20, (0, 1), (0, 1), bare=True)
    chart.parts.append('<rect class="frame" x="6" y="6" width="136" height="116"/>')
    chart.line([(0, 0), (1, 1)], "zero")
    chart.open("series m-ours")
    chart.line([(each.predicted, each.realised) for each in bins], "curve")
    most = max(each.count for each in bins)
    for each in bins:
        radius = 1.4 + 3 * (each.count / most) ** 0.5
        chart.dot(each.predicted, each.realised, "bead", radius=radius, title=_words(each))
    chart.close()
    return f"<figure>{chart.svg(f'Reliability of {name}')}<figcaption>{plain(name)}</figcaption></figure>"


def amounts(pool: PoolResult, found: Amounts, text: Callable[[float], str]) -> str:
    """Predicted against realised tokens or cost: means of twenty equal bins, and where 80 % of the realised lie."""
    return both(lambda width: _amounts(pool, found, min(width, COLUMN), text))


def _amounts(pool: PoolResult, found: Amounts, width: float, text: Callable[[float], str]) -> str:
    least = max(min(min(each.predicted, each.low or each.predicted) for each in found.bins), 1e-9)
    most = max(max(each.predicted, each.high) for each in found.bins)
    ends = least / 1.2, most * 1.2
    chart = Chart.framed(width, 360, ends, ends, log_x=True, log_y=True)
    chart.axes(f"predicted {found.unit}", "realised", text, text, 5)
    chart.line([(ends[0], ends[0]), (ends[1], ends[1])], "zero")
    chart.open("series m-ours")
    chart.area(
        [(each.predicted, each.high) for each in found.bins],
        [(each.predicted, max(each.low, ends[0])) for each in found.bins],
        "band",
    )
    chart.line([(each.predicted, each.realised) for each in found.bins], "curve")
    for each in found.bins:
        middle = f"80 % within {text(each.low)} to {text(each.high)}"
        title = f"predicted {text(each.predicted)}, realised {text(each.realised)}, {middle}"
        chart.dot(each.predicted, each.realised, "bead", radius=3, title=title)
    chart.close()
    return chart.svg(f"Predicted against realised {found.unit} on {pool.name}", "amounts")


def _words(each: Bin) -> str:
    return f"predicted {percent(each.predicted)}, realised {percent(each.realised)}, n = {each.count}"
