"""The cards below a pool's frontier, each a chart with the figures beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lab import report_calibration, report_charts
from gateway.lab.evaluate_results import QUALITY_SHARES
from gateway.lab.report_words import card, figure, percent, plain, points, table, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.evaluate_results import Amounts, Away, Method, PoolResult

SHARES = (
    "Share of queries by model as ours is asked for more success. Models in order of price, the cheapest at the foot."
)
COSTS = "As a share of what {} costs by itself, {} per 1,000 queries. Shorter is better."
PROMISE = (
    "The average success that was asked, against what came. The price of quality is read off the predictor's own "
    "held-out sample before any of these queries is seen. Whiskers: two standard errors; shade: one point."
)
RELIABILITY = "Of the queries predicted at 70 %, do 70 % succeed? The bars show where our estimates lie."
AMOUNTS = "Twenty bins of equally many estimates, all models together; shade: where 80 % of the realised lie."
AWAY = (
    "Each group is predicted by what was learned from the others. Peak: the highest success of the frontier, and below "
    "it the points beside the best single model. Error: calibration error. AIQ of all together: {}."
)
COMPARED = {"ours": "ours", "constant": "static mix", "logistic": "TF-IDF logistic", "blend": "blend"}


def costs(pool: PoolResult, order: Sequence[Method]) -> str:
    """What each method costs at two shares of the best single model's success, as bars."""
    at = {wanted: QUALITY_SHARES.index(wanted) for wanted in (0.95, 0.99)}
    head = ["", *(f"cost for {wanted * 100:g} % of the best single model's success" for wanted in at)]
    rows = [
        [
            f'<i class="swatch m-{method.name}"></i>{plain(method.label)}',
            *(_bar(method.cost_at[column], method.name) for column in at.values()),
        ]
        for method in order
        if method.hull
    ]
    dollars = next(model.cost for model in pool.models if model.name == pool.best_single)
    return card("Cost at fixed quality", table(head, rows, style="bars"), COSTS.format(pool.best_single, usd(dollars)))


def _bar(cost: float | None, name: str) -> str:
    if cost is None:
        return '<span class="none">not reached</span>'
    return (
        f'<span class="bar m-{name}"><i style="width:{min(cost, 1.0) * 100:.1f}%"></i></span><b>{percent(cost, 0)}</b>'
    )


def shares(pool: PoolResult) -> str:
    """Who answers; empty where ours has no setting to ask for."""
    if pool.shares is None:
        return ""
    keys = "".join(
        f'<span class="key k-{place}"><i class="swatch"></i>{plain(name)}</span>'
        for place, (name, _) in enumerate(report_charts.stacked(pool, pool.shares))
    )
    return card("Who answers", f'<div class="keys">{keys}</div>{report_charts.shares(pool, pool.shares)}', SHARES)


def promise(pool: PoolResult) -> str:
    """Asked against realised averages."""
    if not pool.promise:
        return ""
    rows = [
        [
            percent(each.asked),
            percent(each.realised),
            points(each.realised - each.asked),
            f"± {each.error * 100:.1f}",
            usd(each.cost),
        ]
        for each in pool.promise
    ]
    side = table(["asked", "realised", "points off", "standard error", "USD per 1,000"], rows)
    return card("The promise", _beside(report_charts.promise(pool, pool.promise), side), PROMISE)


def reliability(pool: PoolResult) -> str:
    """Calibration of ours and the baselines, and ours model by model."""
    rows = [
        [
            f'<i class="swatch m-{each.name}"></i>{plain(each.label)}',
            figure(each.ece, 3),
            figure(each.auc, 3),
            figure(each.brier, 3),
        ]
        for each in pool.reliability
    ]
    side = table(["", "calibration error", "AUC", "Brier"], rows, marked=[0])
    models = f"<h4>Ours, model by model</h4>{report_calibration.by_model(pool, pool.reliability[0])}"
    chart = report_calibration.reliability(pool, pool.reliability)
    return card("Reliability", _beside(chart, side) + models, RELIABILITY)


def amounts(pool: PoolResult) -> str:
    """Tokens and cost; empty where the pool recorded neither."""
    if not pool.amounts:
        return ""
    drawn = "".join(f"<div>{_amounts(pool, found)}</div>" for found in pool.amounts)
    return card("Predicted against realised amounts", f'<div class="columns">{drawn}</div>', AMOUNTS)


def _amounts(pool: PoolResult, found: Amounts) -> str:
    text = usd if "USD" in found.unit else _count
    words = (
        f"Half of the estimates are within a factor of {2**found.error:.2f}; with each model's mean it would be "
        f"{2**found.constant_error:.2f}. Rank correlation within a model {found.correlation:.2f}. Mean predicted over "
        f"mean realised: {min(found.bias):.2f} to {max(found.bias):.2f} by model."
    )
    return f'{report_calibration.amounts(pool, found, text)}<p class="note">{words}</p>'


def away(rows: tuple[Away, ...]) -> str:
    """Leave one group out; empty where there was none to leave out."""
    if not rows:
        return ""
    peaks = (f"peak, {label}" for label in COMPARED.values())
    errors = (f"error, {label}" for label in COMPARED.values())
    cells = [
        [
            plain(row.name),
            f"{row.queries:,}",
            percent(row.best_single),
            *(
                f"{percent(row.peak[name])}<small>{points(row.peak[name] - row.best_single)}</small>"
                for name in COMPARED
            ),
            *(figure(row.ece[name], 3) for name in COMPARED),
        ]
        for row in rows
    ]
    together = ", ".join(f"{label} {figure(rows[-1].aiq[name])}" for name, label in COMPARED.items())
    body = table(["group left out", "queries", "best single", *peaks, *errors], cells, marked=[len(rows) - 1])
    return card("Out of its domain", body, AWAY.format(together))


def _beside(chart: str, side: str) -> str:
    return f'<div class="columns"><div>{chart}</div><div>{side}</div></div>'


def _count(value: float) -> str:
    return f"{value:,.0f}"
