"""The charts of cost against success, of shares and of promises."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from gateway.lab.evaluate_methods import ORACLE
from gateway.lab.report_svg import COLUMN, LETTER, NARROW, Chart, both
from gateway.lab.report_words import MINUS, percent, points, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.evaluate_results import Kept, Method, ModelRow, PoolResult, Shares

ROOM = 1.06  # beyond the dearest point
ZOOM = 0.90  # of the best single model's success
FREE = 3.0  # how far left of the cheapest paid point models without a price stand, as a factor
PIECE = 10  # units of a hull's side, which bends on an axis of powers and is cut at the frame
LINE = 11  # height of a line of small text
HATCHES = 12  # colours for models; beyond, the rest together


def frontier(pool: PoolResult) -> str:
    """Every method's hull with its band, and the models by themselves, from the cheapest model to the dearest."""
    return both(lambda width: _frontier(pool, width, zoom=False))


def frontier_near_best(pool: PoolResult) -> str:
    """The same where it is decided: from 90 % of the best single model's success on."""
    return both(lambda width: _frontier(pool, width, zoom=True))


def _frontier(pool: PoolResult, width: float, *, zoom: bool) -> str:
    best = next(model for model in pool.models if model.name == pool.best_single)
    shown = [method for method in pool.methods if not (zoom and method.name == ORACLE)]
    chart = _zoomed(shown, best, width) if zoom else _whole(pool, width)
    chart.axes("USD per 1,000 queries", "success", usd, lambda value: percent(value, 0))
    for method in reversed(shown):
        _draw(chart, method, best)
    if not zoom:
        _draw_models(chart, pool.models, best, label=width > NARROW)
    chart.dot(best.cost, best.success, "best-mark", radius=6, title=f"{best.name}, the best single model")
    chart.rule()
    part = "near the best single model" if zoom else "of every method"
    return chart.svg(f"Cost against success {part} on {pool.name}", "frontier")


def _whole(pool: PoolResult, width: float) -> Chart:
    curves = [point for method in pool.methods for point in (*method.hull, *method.points)]
    paid = [cost for cost, _ in curves if cost > 0] + [model.cost for model in pool.models if model.cost > 0]
    free = any(model.cost <= 0 for model in pool.models)
    ends = (min(paid) / (FREE if free else ROOM), max(paid) * ROOM) if paid else (0.0, 1.0)
    heights = [success for _, success in curves]
    return Chart.framed(
        width,
        480 if width > NARROW else 400,
        ends,
        (min(model.success for model in pool.models) - 0.02, max(heights) + 0.015),
        log_x=bool(paid) and ends[1] > 3 * ends[0],
    )


def _zoomed(shown: Sequence[Method], best: ModelRow, width: float) -> Chart:
    floor = ZOOM * best.success
    reached = [x for method in shown for x, y in method.hull if y >= floor]
    top = max(y for method in shown for _, y in method.hull)
    return Chart.framed(
        width,
        400 if width > NARROW else 340,
        (min([*reached, best.cost * 0.8]) * 0.9, best.cost * ROOM),
        (floor, top + 0.012),
    )


def _draw(chart: Chart, method: Method, best: ModelRow) -> None:
    chart.open(f"series m-{method.name}")
    if method.band is not None:
        band = method.band
        shade = [
            (cost, low, high)
            for cost, low, high in zip(band.cost, band.low, band.high, strict=True)
            if chart.x.low <= cost <= chart.x.high and high > chart.y.low
        ]
        chart.area([(x, high) for x, _, high in shade], [(x, low) for x, low, _ in shade], "band")
    if method.hull:
        seen = _inside(chart, [*method.hull, (max(best.cost, method.hull[-1][0] * ROOM), method.hull[-1][1])])
        chart.line(seen, "curve")
    else:
        ((cost, success),) = method.points
        if chart.y.low <= success <= chart.y.high:
            chart.dot(cost, success, "point", radius=5, title=f"{method.label}: {percent(success)} at {usd(cost)}")
    chart.close()


def _inside(chart: Chart, hull: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The part of a hull that the chart shows."""
    found: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x1 <= x0:
            found.append((x0, y0))
            continue
        steps = max(1, ceil((chart.x(x1) - chart.x(x0)) / PIECE))
        for step in range(steps + 1):
            x = x0 * (x1 / x0) ** (step / steps) if chart.x.log and x0 > 0 else x0 + (x1 - x0) * step / steps
            y = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
            if y >= chart.y.low and x <= chart.x.high:
                found.append((x, y))
    return found


def _draw_models(chart: Chart, models: Sequence[ModelRow], best: ModelRow, *, label: bool) -> None:
    chart.open("models")
    taken: list[tuple[float, float, float]] = []
    for model in sorted(models, key=lambda each: each is not best):
        title = f"{model.name}: {percent(model.success)} at {usd(model.cost)}"
        chart.dot(max(model.cost, chart.x.low), model.success, "model", radius=3.2, title=title)
        place = chart.x(max(model.cost, chart.x.low)), chart.y(model.success)
        spot = _free(place, len(model.name) * LETTER * 0.82, taken, chart)
        if label and spot is not None:
            taken.append((*spot, len(model.name) * LETTER * 0.82))
            chart.text(*spot, model.name, "model-name")
    chart.close()


def _free(
    place: tuple[float, float], length: float, taken: Sequence[tuple[float, float, float]], chart: Chart
) -> tuple[float, float] | None:
    """Where a word of that length can stand by a point and cover no other: below, above, right, left; or nowhere."""
    x, y = place
    for left, base in ((x - length / 2, y + 15), (x - length / 2, y - 8), (x + 7, y + 4), (x - length - 7, y + 4)):
        clear = all(
            abs(base - other) > LINE or left > start + size or left + length < start for start, other, size in taken
        )
        if clear and left > chart.x.start and left + length < chart.width and base < chart.y.start:
            return left, base
    return None


def shares(pool: PoolResult, found: Shares) -> str:
    """Which model answers what share, as ours is asked for more success."""
    return both(lambda width: _shares(pool, found, width))


def _shares(pool: PoolResult, found: Shares, width: float) -> str:
    chart = Chart.framed(width, 300, (found.success[0], found.success[-1]), (0, 1))
    chart.axes(
        "success that ours realised",
        "share of queries",
        lambda value: percent(value, 0),
        lambda value: percent(value, 0),
        4,
    )
    floor = [0.0] * len(found.success)
    for place, (name, columns) in enumerate(stacked(pool, found)):
        height = [base + sum(row[column] for column in columns) for base, row in zip(floor, found.share, strict=True)]
        chart.open(f"stack k-{place}")
        chart.parts.append(f"<title>{escape(name)}</title>")
        chart.area(list(zip(found.success, height, strict=True)), list(zip(found.success, floor, strict=True)), "layer")
        chart.close()
        floor = height
    return chart.svg(f"Share of queries by model on {pool.name}", "shares")


def stacked(pool: PoolResult, found: Shares) -> list[tuple[str, list[int]]]:
    """(name, columns) of the layers: the most used models by themselves in order of price, the others as one."""
    used = [max(row[column] for row in found.share) for column in range(len(pool.models))]
    order = sorted(range(len(used)), key=lambda column: -used[column])
    alone, rest = order[:HATCHES], [column for column in order[HATCHES:] if used[column] > 0]
    layers = [
        (pool.models[column].name, [column])
        for column in sorted(alone, key=lambda each: pool.models[each].cost)
        if used[column] > 0
    ]
    words = "1 other" if len(rest) == 1 else f"{len(rest)} others"
    return [*layers, (words, rest)] if rest else layers


def promise(pool: PoolResult, kept: Sequence[Kept]) -> str:
    """Asked averages against what came, with two standard errors."""
    return both(lambda width: _promise(pool, kept, min(width, COLUMN)))


def _promise(pool: PoolResult, kept: Sequence[Kept], width: float) -> str:
    miss = max(0.02, *(abs(each.realised - each.asked) + 2 * each.error for each in kept)) * 1.1
    chart = Chart.framed(width, 280, (kept[0].asked - 0.02, kept[-1].asked + 0.02), (-miss, miss))
    chart.axes("asked average", f"realised {MINUS} asked, points", lambda value: percent(value, 0), points, 5)
    chart.area([(chart.x.low, 0.01), (chart.x.high, 0.01)], [(chart.x.low, -0.01), (chart.x.high, -0.01)], "within")
    chart.line([(chart.x.low, 0), (chart.x.high, 0)], "zero")
    for each in kept:
        over = each.realised - each.asked
        chart.line([(each.asked, over - 2 * each.error), (each.asked, over + 2 * each.error)], "whisker")
        chart.dot(
            each.asked, over, "point-ours", radius=5, title=f"asked {percent(each.asked)}, got {percent(each.realised)}"
        )
    return chart.svg(f"Asked against realised averages on {pool.name}", "promise")
