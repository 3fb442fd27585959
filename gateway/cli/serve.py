"""`paretogate serve`: the gateway."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gateway.errors import ConfigurationError
from gateway.settings import Settings, read


@click.command(name="serve")
@click.option(
    "--config", type=click.Path(path_type=Path), help="A configuration; without one, what runs here is found."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes; above 1 needs Redis.")
def command(*, config: Path | None, host: str, port: int, workers: int) -> None:
    """Serves until it is told to stop: SIGTERM drains, a second one ends at once."""
    try:
        if config is None:
            from gateway.found import serve_found  # noqa: PLC0415 - a configured gateway needs none of it

            serve_found(os.environ, host=host, port=port)
            return
        from gateway.server import serve  # noqa: PLC0415 - `--help` need not load the service

        settings = read(config, os.environ)
        check_workers(settings, workers)
        serve(settings, host=host, port=port, workers=workers, config=config)
    except ConfigurationError as error:
        raise click.ClickException(error.message) from error


def check_workers(settings: Settings, workers: int) -> None:
    """Several processes without a shared book would each hold the whole capacity."""
    if workers > 1 and not settings.load.redis.get_secret_value():
        raise ConfigurationError(f"--workers {workers}: several processes need a shared load book; set load.redis")
