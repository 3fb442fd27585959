"""`paretogate simulate`: a pool as a trace in virtual time, against endpoints on paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from gateway.domain import MinQuality
from gateway.errors import ConfigurationError
from gateway.lab.methods import METHODS
from gateway.lab.simulate import report as pages
from gateway.lab.simulate.fleet import Fleet
from gateway.lab.simulate.ground import prepare
from gateway.lab.simulate.study import LOADS, SIZES, compare, sizes
from gateway.lab.simulate.trace import ARRIVALS
from predictors.artifact import ArtifactError
from predictors.pool import PoolError, read_pool
from predictors.registry import load_artifact

if TYPE_CHECKING:
    from gateway.core.problem import Floats


@click.command(name="simulate")
@click.option(
    "--pool", required=True, type=click.Path(path_type=Path), help="Outcome data that is new to the artifact."
)
@click.option("--artifact", required=True, help="What `train` wrote, or `starter`.")
@click.option("--report", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--min-quality", type=click.FloatRange(0, 1), help="Promise; default: midway between cheapest and best.")
@click.option("--method", "methods", multiple=True, type=click.Choice(list(METHODS)), help="Repeatable; default: all.")
@click.option(
    "--load",
    "loads",
    multiple=True,
    type=click.FloatRange(0, 10, min_open=True),
    help="Repeatable; default: 0.2 … 1.5.",
)
@click.option("--arrivals", default=ARRIVALS[0], show_default=True, type=click.Choice(ARRIVALS))
@click.option("--count", default=4_000, show_default=True, type=click.IntRange(10), help="Queries per run.")
@click.option("--endpoints", type=click.IntRange(1, 1_000), help="Default: one per model.")
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1), help="Queries that one answers at once.")
@click.option("--sizes/--no-sizes", "with_sizes", default=True, help="Time decisions of 8 to 1,000 endpoints.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True, help="Print results.json too.")
def command(
    *,
    pool: Path,
    artifact: str,
    report: Path,
    min_quality: float | None,
    methods: tuple[str, ...],
    loads: tuple[float, ...],
    arrivals: str,
    count: int,
    endpoints: int | None,
    slots: int,
    with_sizes: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Replays a pool as a trace in virtual time: cost, success, waiting and shed of every method at every load."""
    try:
        outcomes, trained = read_pool(pool), load_artifact(artifact)
        asked = MinQuality(midway(outcomes.score, outcomes.cost) if min_quality is None else min_quality)
        ground, models, known = prepare(outcomes, trained, asked, seed)
    except (ArtifactError, ConfigurationError, PoolError) as error:
        raise click.ClickException(str(error)) from error
    fleet = Fleet.even(len(models), endpoints or len(models), slots)
    chosen, shares = methods or tuple(METHODS), loads or LOADS
    counts = SIZES if with_sizes else ()
    with click.progressbar(length=len(chosen) * len(shares) + len(counts), label="simulate", file=sys.stderr) as bar:
        figures = compare(
            ground,
            fleet,
            methods=chosen,
            loads=shares,
            queries=count,
            kind=arrivals,
            seed=seed,
            tick=lambda: bar.update(1),
        )
        timed = sizes(ground, counts, seed, lambda: bar.update(1))
    about = {
        "pool": pool.name,
        "asked": round(asked.quality, 4),
        "arrivals": arrivals,
        "models": len(models),
        "endpoints": len(fleet.model),
        "slots": slots,
        "queries of the pool left out, known to the artifact": known,
        "seed": seed,
    }
    try:
        pages.write(report, about=about, figures=figures, sizes=timed)
    except OSError as error:
        raise click.ClickException(f"{report}: cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo((report / "results.json").read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(f"{report / 'report.md'}: {len(figures)} runs of {count} queries")


def midway(score: Floats, cost: Floats) -> float:
    """Half of the way from the cheapest model's mean success to the best one's, over (N, M) outcomes."""
    success, paid = np.nanmean(score, axis=0), np.nanmean(cost, axis=0)
    return float((success[np.nanargmin(paid)] + success.max()) / 2)
