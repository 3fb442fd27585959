"""`paretogate route`: assigns a file of queries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from gateway.domain import MaxCost, MinQuality, Tradeoff
from gateway.errors import ConfigurationError
from gateway.lab.methods import METHODS, OURS
from gateway.lab.route import columns, make_case, route
from predictors.artifact import ArtifactError
from predictors.pool import PoolError, read_queries
from predictors.registry import load_artifact
from predictors.table import TableError, check_suffix, write_table

if TYPE_CHECKING:
    from gateway.domain import Objective

BATCH_SIZE = 16  # as the windows of a gateway under load turn out


@click.command(name="route")
@click.option("--artifact", required=True, help="What `train` wrote, or `starter`.")
@click.option("--queries", required=True, type=click.Path(path_type=Path), help="A file with query_id and text.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Written: .parquet or .jsonl.")
@click.option("--min-quality", type=click.FloatRange(0, 1), help="Promise: average success, 0..1.")
@click.option("--max-cost-per-1k", type=click.FloatRange(0, min_open=True), help="Promise: USD per 1,000 queries.")
@click.option("--tradeoff", type=click.FloatRange(0, 10), help="0 is the cheapest, 10 the best.")
@click.option("--batch-size", default=BATCH_SIZE, show_default=True, type=click.IntRange(1, 4096))
@click.option(
    "--capacity", default="", help="MODEL=K,…: queries of one batch that a model takes; others are unlimited."
)
@click.option("--method", default=OURS, show_default=True, type=click.Choice(list(METHODS)))
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the order, and of methods that draw."
)
@click.option("--in-order", is_flag=True, help="The file is a trace: decide as it stands, not shuffled.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    *,
    artifact: str,
    queries: Path,
    out: Path,
    min_quality: float | None,
    max_cost_per_1k: float | None,
    tradeoff: float | None,
    batch_size: int,
    capacity: str,
    method: str,
    seed: int,
    in_order: bool,
    as_json: bool,
) -> None:
    """Assigns every query of a file to a model. Reads query_id, text, messages and tools, and nothing else of it."""
    objective = _objective(min_quality, max_cost_per_1k, tradeoff)
    try:
        check_suffix(out)
        room = parse_capacity(capacity)
        trained = load_artifact(artifact)
        asked = read_queries(queries)
        case, tokens = make_case(
            trained, asked.prompts, objective, batch_size=batch_size, capacity=room, seed=seed, in_order=in_order
        )
        with click.progressbar(length=len(asked.ids), label="route", file=sys.stderr) as bar:
            choice = route(case, method, bar.update)
        table = columns(asked.ids, trained.predictor.models, case, tokens, choice)
        write_table(out, table)
    except (ArtifactError, ConfigurationError, PoolError, TableError) as error:
        raise click.ClickException(str(error)) from error
    _report(out, case.quality, case.cost, choice, as_json=as_json)


def parse_capacity(text: str) -> dict[str, int]:
    """From `MODEL=K,…`. The last `=` of an item divides it: a model's name may contain one.

    Raises:
        ConfigurationError: an item is not of that form.
    """
    room = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = item.rpartition("=")
        if not name or not count.strip().isdecimal():
            raise ConfigurationError(f"--capacity {item}: write MODEL=K, where K is a whole number of queries")
        room[name.strip()] = int(count)
    return room


def _objective(min_quality: float | None, max_cost_per_1k: float | None, tradeoff: float | None) -> Objective:
    given: list[Objective] = []
    if min_quality is not None:
        given.append(MinQuality(min_quality))
    if max_cost_per_1k is not None:
        given.append(MaxCost(max_cost_per_1k))
    if tradeoff is not None:
        given.append(Tradeoff(tradeoff))
    if len(given) != 1:
        raise click.UsageError("give one of --min-quality, --max-cost-per-1k and --tradeoff")
    return given[0]


def _report(out: Path, quality: np.ndarray, cost: np.ndarray, choice: np.ndarray, *, as_json: bool) -> None:
    rows = np.arange(len(choice))
    mean_quality = float(quality[rows, choice].mean()) if len(choice) else None
    mean_cost = float(cost[rows, choice].mean()) * 1_000 if len(choice) else None
    if as_json:
        summary = {"queries": len(choice), "predicted_quality": mean_quality, "predicted_cost_per_1k_usd": mean_cost}
        click.echo(json.dumps(summary))
    elif len(choice):
        click.echo(f"{out}: {len(choice)} queries, predicted quality {mean_quality:.4f}, ${mean_cost:.4f} per 1,000")
    else:
        click.echo(f"{out}: 0 queries")
