"""One pool's section of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lab import report_cards, report_charts
from gateway.lab.baselines import PLAIN_KNN, RIVALS
from gateway.lab.evaluate_methods import OFFLINE, OURS
from gateway.lab.evaluate_results import QUALITY_SHARES
from gateway.lab.report_words import NONE, card, figure, percent, plain, share, spread, table

if TYPE_CHECKING:
    from gateway.lab.evaluate_results import Method, PoolResult

ORDER = (  # of the names to press: ours, the learned, the published rules, the ends, the points
    "ours", "offline", "blend", "logistic", "blend2", "knn64", "two_model", "eccos_r", "port", "threshold_knn16",
    "constant", "oracle",
)  # fmt: skip
HIDDEN = ("blend2", "knn64")  # near twins of other lines: drawn, and shown when asked for
RULES = {
    "refit": "Refitted by five folds: every query is predicted by a model that saw neither it nor an equal text.",
    "as_is": "Predicted by the artifact as it is, which never saw these texts. The baselines learn by five folds.",
}
FIGURES = (
    "AIQ: mean height of the hull between the cheapest and the best model's cost. Gap closed: from a static mix (0) to "
    "the oracle (1). Cost at a share of the best single model's success: as a share of its cost. Small print: "
    "bootstrap 95 % intervals."
)


def pool_section(pool: PoolResult, anchor: str) -> str:
    """HTML."""
    parts = [
        f'<section class="pool" id="{anchor}"><h2>{plain(pool.name)}</h2>',
        f'<p class="lead">{_lead(pool)}</p>',
        _tiles(pool),
        _frontiers(pool),
        report_cards.costs(pool, sorted(pool.methods, key=_aiq, reverse=True)),
        card("Figures of every method", _methods(pool), FIGURES),
        report_cards.shares(pool),
        report_cards.promise(pool),
        report_cards.reliability(pool),
        report_cards.amounts(pool),
        report_cards.away(pool.away),
        "</section>",
    ]
    return "".join(parts)


def headline(pool: PoolResult) -> Method:
    """What stands for ours beside the learned baselines: the optimum with our predictions, swept as theirs are."""
    found = pool.method(OFFLINE)
    if found is None:
        raise ValueError("an evaluation without our own predictions")
    return found


def strongest_rival(pool: PoolResult) -> Method:
    """The learned baseline with the best AIQ."""
    return max((each for each in pool.methods if each.name in RIVALS), key=_aiq)


def _aiq(method: Method) -> float:
    """Methods without a dial come after all others, by their success."""
    return method.aiq.value if method.aiq else method.peak - 1


def _lead(pool: PoolResult) -> str:
    asides = [
        f"{pool.excluded:,} queries are left out because the artifact knows their texts." if pool.excluded else "",
        f"{pool.unlabelled:,} queries have no score." if pool.unlabelled else "",
        f"Models that the artifact does not know are left out: {', '.join(pool.unknown_models)}."
        if pool.unknown_models
        else "",
    ]
    size = f"{pool.queries:,} queries, {len(pool.models)} models, {pool.groups} groups."
    return plain(" ".join([size, RULES[pool.rule], *filter(None, asides)]))


def _tiles(pool: PoolResult) -> str:
    ours, rival = headline(pool), strongest_rival(pool)
    misses = [abs(each.realised - each.asked) * 100 for each in pool.promise]
    naive = next(each.ece for each in pool.reliability if each.name == PLAIN_KNN)
    tiles = [
        *(
            (
                share(ours.cost_at[QUALITY_SHARES.index(wanted)]),
                f"of the best single model's cost buys {wanted * 100:g} % of its success",
                f"{rival.label}: {share(rival.cost_at[QUALITY_SHARES.index(wanted)])}",
            )
            for wanted in (0.95, 0.99)
        ),
        (_gap(ours), "of the way from a static mix to the oracle", f"{rival.label}: {_gap(rival)}"),
        (figure(pool.reliability[0].ece, 3), "calibration error", f"kNN-16: {figure(naive, 3)}"),
        *(
            (f"{max(misses):.1f} pt", "largest miss of an asked average", f"mean: {_mean(misses):.1f} pt")
            for _ in misses[:1]
        ),
    ]
    cells = (
        f"<li><b>{plain(value)}</b><span>{plain(words)}</span><small>{plain(beside)}</small></li>"
        for value, words, beside in tiles
    )
    return f'<ul class="tiles">{"".join(cells)}</ul>'


def _gap(method: Method) -> str:
    return percent(method.gap_closed.value) if method.gap_closed else NONE


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _frontiers(pool: PoolResult) -> str:
    note = (
        "Lines are the hulls of what was realised, shades their bootstrap 95 % bands; the ring is the best single "
        f"model, {plain(pool.best_single)}. Ours is told an average beforehand and keeps it without seeing the queries "
        "to come; the dotted optimum and the learned baselines know them all. Press a name to hide or show it."
    )
    return (
        f'<div class="card frontiers"><h3>Cost against success</h3><p class="note">{note}</p>'
        f'<div class="chips">{"".join(_chip(method) for method in sorted(pool.methods, key=_place))}</div>'
        f"{report_charts.frontier(pool)}<h4>Near the best single model</h4>"
        f"{report_charts.frontier_near_best(pool)}</div>"
    )


def _place(method: Method) -> int:
    return ORDER.index(method.name) if method.name in ORDER else len(ORDER)


def _chip(method: Method) -> str:
    swatch = "swatch" if method.hull else "swatch round"
    pressed = "false" if method.name in HIDDEN else "true"
    return (
        f'<button type="button" class="chip m-{method.name}" data-series="m-{method.name}" aria-pressed="{pressed}">'
        f'<i class="{swatch}"></i>{plain(method.label)}</button>'
    )


def _cost(value: float | None) -> str:
    """In one short word where no cost does it: "not reached" four times over is wider than a page."""
    return "never" if value is None else percent(value, 0)


def _methods(pool: PoolResult) -> str:
    head = ["", "AIQ", "gap closed", "peak success", *(f"cost at {wanted * 100:g} %" for wanted in QUALITY_SHARES)]
    order = sorted(pool.methods, key=_aiq, reverse=True)
    rows = [
        [
            f'<i class="swatch m-{method.name}"></i>{plain(method.label)}',
            spread(method.aiq),
            spread(method.gap_closed, 3),
            percent(method.peak),
            *(_cost(cost) if method.hull else NONE for cost in method.cost_at),
        ]
        for method in order
    ]
    return table(head, rows, marked=[number for number, method in enumerate(order) if method.name in (OURS, OFFLINE)])
