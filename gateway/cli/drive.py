"""`paretogate drive`: a pool's queries through a live gateway."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import uvloop

from gateway.lab.drive import CONCURRENCY, Plan, drive
from gateway.lab.drive_report import summary
from predictors.artifact import ArtifactError, load
from predictors.hashes import text_hashes
from predictors.pool import PoolError, read_pool

if TYPE_CHECKING:
    from gateway.lab.drive_reply import Sent
    from predictors.pool import Queries


@click.command(name="drive")
@click.option("--pool", required=True, type=click.Path(path_type=Path), help="Outcome data: .parquet or .jsonl.")
@click.option("--base-url", required=True, help="The gateway, as an OpenAI client takes it.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Arrivals per second, whatever comes back.")
@click.option("--concurrency", type=click.IntRange(1), help=f"Clients that wait for their answers [{CONCURRENCY}].")
@click.option("--artifact", type=click.Path(path_type=Path), help="Leave out the queries that it was trained on.")
@click.option("--limit", type=click.IntRange(1), help="Send the first N queries only.")
@click.option("--model", default="auto", show_default=True, help="A route or a model.")
@click.option("--min-quality", type=click.FloatRange(0, 1), help="A floor for each query.")
@click.option("--stream", is_flag=True, help="Ask for streamed answers.")
@click.option("--api-key", envvar="PARETOGATE_API_KEY", help="Sent as a bearer token.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds to wait for one answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def command(
    *,
    pool: Path,
    base_url: str,
    rate: float | None,
    concurrency: int | None,
    artifact: Path | None,
    limit: int | None,
    model: str,
    min_quality: float | None,
    stream: bool,
    api_key: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Sends a pool's queries to a gateway; reports realised success, cost, latency and shares."""
    if rate is not None and concurrency is not None:
        raise click.UsageError("--rate and --concurrency exclude each other")
    try:
        outcomes = read_pool(pool)
        fresh = unseen(outcomes.queries, artifact)
    except (PoolError, ArtifactError) as error:
        raise click.ClickException(str(error)) from error
    plan = Plan(base_url, model, stream, min_quality, concurrency or CONCURRENCY, rate, api_key, timeout)
    rows = fresh[:limit]
    ended: list[Sent] = []
    with click.progressbar(length=len(rows), label="drive", file=sys.stderr) as bar:

        def seen(sent: Sent) -> None:
            ended.append(sent)
            bar.update(1)

        seconds = uvloop.run(drive(outcomes.queries, rows, plan, seen))
    overlap = len(outcomes.queries.ids) - len(fresh)
    report = summary(outcomes, ended, seconds, model=model) | {"overlapping_excluded": overlap}
    click.echo(json.dumps(report) if as_json else text_of(report))
    if ended and report["lost"] == len(ended):
        raise click.ClickException(f"{base_url}: no answer to any query ({', '.join(report['errors'])})")


def unseen(queries: Queries, artifact: Path | None) -> list[int]:
    """The rows whose text the artifact was not trained on, in file order; all rows without an artifact."""
    if artifact is None:
        return list(range(len(queries.ids)))
    trained_on = np.isin(text_hashes(queries.prompts), load(artifact).text_hashes)
    return [int(row) for row in np.flatnonzero(~trained_on)]


def text_of(report: dict[str, Any]) -> str:
    """The report for a reader."""
    spread = report["latency_s"] or {"p50": None, "p99": None}
    counts = ", ".join(f"{name} {report[name]}" for name in ("answered", "failed", "lost", "doubled", "misdelivered"))
    success = f"success {_number(report['success'])} ± {_number(report['success_standard_error'])}"
    cost = f"cost {_number(report['cost_per_1k_usd'])} USD per 1,000 queries"
    lines = [
        f"sent {report['sent']}: {counts}; left out as trained on {report['overlapping_excluded']}",
        f"{success} over {report['scored']} scored (predicted {_number(report['predicted_quality'])})",
        f"{cost} (by the gateway's headers {_number(report['header_cost_per_1k_usd'])})",
        f"latency p50 {_number(spread['p50'])} s, p99 {_number(spread['p99'])} s; {report['per_second']} per second",
    ]
    if best := report["best_single"]:
        lines.append(
            f"best single model in hindsight: {best['model']}, success {_number(best['success'])}, "
            f"{_number(best['cost_per_1k_usd'])} USD per 1,000 queries"
        )
    for name, own in report["models"].items():
        lines.append(
            f"  {own['share']:6.1%}  {name}  success {_number(own['success'])}, "
            f"{_number(own['cost_per_1k_usd'])} USD per 1,000"
        )
    lines += [f"  {count} of {error}" for error, count in report["errors"].items()]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
