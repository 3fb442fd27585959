"""The report of an evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from gateway.lab.evaluate_results import QUALITY_SHARES
from gateway.lab.report_pool import headline, pool_section, strongest_rival
from gateway.lab.report_words import NONE, figure, percent, plain, share, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.lab.evaluate_results import PoolResult, Results


def render(results: Results) -> str:
    """The whole page."""
    parts = files("gateway.lab")
    page = Template(parts.joinpath("report.html").read_text(encoding="utf-8"))
    return page.substitute(
        css=parts.joinpath("report.css").read_text(encoding="utf-8"),
        js=parts.joinpath("report.js").read_text(encoding="utf-8"),
        data=_curves(results.pools),
        pools="".join(f'<a href="#{anchor(pool)}">{plain(pool.name)}</a>' for pool in results.pools),
        overview=_overview(results),
        sections="".join(pool_section(pool, anchor(pool)) for pool in results.pools),
        predictor=_predictor(results),
        command=plain(results.command),
        version=plain(results.version),
        machine=plain(results.machine),
        seed=results.seed,
        draws=f"{results.draws:,}",
    )


def anchor(pool: PoolResult) -> str:
    """Where the page holds a pool."""
    return "pool-" + "".join(letter if letter.isalnum() else "-" for letter in pool.name)


def _overview(results: Results) -> str:
    """One line per pool."""
    rows = []
    for pool in results.pools:
        ours, rival = headline(pool), strongest_rival(pool)
        rows.append(
            [
                f'<a href="#{anchor(pool)}">{plain(pool.name)}</a>',
                f"{pool.queries:,}",
                str(len(pool.models)),
                figure(ours.aiq.value) if ours.aiq else NONE,
                f"{figure(rival.aiq.value)}<small>{plain(rival.label)}</small>" if rival.aiq else NONE,
                percent(ours.gap_closed.value) if ours.gap_closed else NONE,
                *(share(ours.cost_at[QUALITY_SHARES.index(wanted)]) for wanted in (0.95, 0.99)),
                figure(pool.reliability[0].ece, 3),
            ]
        )
    head = ["pool", "queries", "models", "AIQ, ours", "AIQ, strongest baseline", "gap closed"]
    return table([*head, "cost at 95 %", "cost at 99 %", "calibration error"], rows)


def _predictor(results: Results) -> str:
    head = ["queries in one call", "median", "90th percentile"]
    rows = [[str(each.queries), f"{each.median:.2f} ms", f"{each.p90:.2f} ms"] for each in results.latency]
    facts = {name: value for name, value in results.artifact.items() if isinstance(value, str | int | float)}
    about = "".join(f"<dt>{plain(name)}</dt><dd>{plain(value)}</dd>" for name, value in facts.items())
    loaded = f"<p>The artifact loads in {results.load_seconds:.2f} s.</p>"
    return f'<div class="columns"><div>{table(head, rows)}{loaded}</div><dl>{about}</dl></div>'


def _curves(pools: Iterable[PoolResult]) -> str:
    """What the page's script reads: hulls by pool and method. JSON that cannot end its script element."""
    found = {
        anchor(pool): [
            {"name": method.name, "label": method.label, "hull": [[round(x, 6), round(y, 4)] for x, y in method.hull]}
            for method in pool.methods
            if method.hull
        ]
        for pool in pools
    }
    return json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")
