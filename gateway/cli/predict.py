"""`paretogate predict`: what each model would make of each query of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from predictors.artifact import ArtifactError
from predictors.pool import PoolError, read_queries
from predictors.registry import load_predictor
from predictors.table import TableError, check_suffix, write_table

if TYPE_CHECKING:
    from predictors.base import Prediction, Predictor
    from predictors.pool import Queries

AT_ONCE = 256  # queries predicted together: bounds the memory


@click.command(name="predict")
@click.option("--artifact", required=True, type=click.Path(path_type=Path), help='A folder, or "starter".')
@click.option("--queries", required=True, type=click.Path(path_type=Path), help="A file with query_id and text.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Written: .parquet or .jsonl.")
def command(*, artifact: Path, queries: Path, out: Path) -> None:
    """Predicts every (query, model). Reads query_id, text, messages and tools, and nothing else of the file."""
    try:
        check_suffix(out)
        predictor = load_predictor(artifact)
        asked = read_queries(queries)
        columns = predict_all(predictor, asked)
        write_table(out, columns)
    except (ArtifactError, PoolError, TableError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(asked.ids)} queries x {len(predictor.models)} models")


def predict_all(predictor: Predictor, queries: Queries) -> dict[str, list[object]]:
    """The columns query_id, model, quality, quality_sd, output_tokens, cost_usd; query by query, in file order."""
    tables: list[Prediction] = []
    starts = range(0, len(queries.ids), AT_ONCE)
    with click.progressbar(starts, label="predict", file=sys.stderr) as bar:
        tables.extend(predictor.predict(queries.prompts[start : start + AT_ONCE]) for start in bar)
    models = predictor.models
    columns: dict[str, list[object]] = {
        "query_id": [each for each in queries.ids for _ in models],
        "model": [model for _ in queries.ids for model in models],
    }
    for name in ("quality", "quality_sd", "output_tokens", "cost_usd"):
        values = [np.asarray(getattr(table, name), np.float64).ravel() for table in tables]
        columns[name] = [None if np.isnan(value) else float(value) for value in np.concatenate([*values, []])]
    return columns
