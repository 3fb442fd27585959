"""`paretogate export`: the decision log as a pool that `train` reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.errors import ConfigurationError, LogUnavailableError
from gateway.feedback.store import Store
from gateway.lab.export import gather, write_pool
from gateway.settings import read
from predictors.pool_files import PoolError

if TYPE_CHECKING:
    from gateway.lab.export import Exported


@click.command(name="export")
@click.option("--config", type=click.Path(path_type=Path), help="A configuration: its log.url is read.")
@click.option("--log", "url", help="The log's database instead, as in sqlite:///paretogate.sqlite.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The pool to write: .parquet or .jsonl.")
def command(*, config: Path | None, url: str | None, out: Path) -> None:
    """Writes answered decisions as a pool: scores that feedback gave, cost, tokens, latency, and prompts if kept."""
    if (config is None) == (url is None):
        raise click.UsageError("give --config or --log")
    try:
        name = url if config is None else read(config, os.environ).log.url.get_secret_value()
        if not name:
            raise click.ClickException(f"{config}: log.url is empty: this configuration keeps no log")
        made = _gathered(name)
        if not made.rows:
            raise click.ClickException("the log holds no answered decision; nothing is written")
        write_pool(made, out)
    except (ConfigurationError, LogUnavailableError) as error:
        raise click.ClickException(error.message) from error
    except PoolError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written: {error.strerror or error}") from error
    for sentence in made.missing:
        click.echo(sentence, err=True)
    click.echo(f"{out}: {len(made.rows)} prompts, {made.decisions} answers of {len(made.models)} models")


def _gathered(url: str) -> Exported:
    store = Store(url, create=False)
    try:
        with click.progressbar(
            store.rows(), label="export", file=sys.stderr, show_eta=False, length=store.count()
        ) as rows:
            return gather(rows)
    finally:
        store.close()
