"""`paretogate serve`: the gateway."""

from __future__ import annotations

import gc
import os
from ipaddress import ip_address
from pathlib import Path

import click

from gateway.cli.threads import one_thread
from gateway.errors import ConfigurationError
from gateway.settings import Settings, read


@click.command(name="serve")
@click.option(
    "--config", type=click.Path(path_type=Path), help="A configuration; without one, what runs here is found."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--insecure", is_flag=True, help="Lets everybody call who reaches the address, when no keys are configured."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes; above 1 needs Redis.")
def command(*, config: Path | None, host: str, port: int, workers: int, insecure: bool) -> None:
    """Serves until it is told to stop: SIGTERM drains, a second one ends at once."""
    one_thread()
    gc.disable()  # what is loaded stays; looking through it for garbage takes a fifth of the start
    try:
        settings = read(config, os.environ) if config else None
        check_open(settings, host, insecure=insecure)
        if config is None or settings is None:
            from gateway.found import serve_found  # noqa: PLC0415 - a configured gateway needs none of it

            serve_found(os.environ, host=host, port=port)
            return
        from gateway.server import serve  # noqa: PLC0415 - `--help` need not load the service

        check_workers(settings, workers)
        serve(settings, host=host, port=port, workers=workers, config=config)
    except ConfigurationError as error:
        raise click.ClickException(error.message) from error
    finally:
        gc.enable()


def check_open(settings: Settings | None, host: str, *, insecure: bool) -> None:
    """Whoever can reach a gateway without keys can spend its operator's money."""
    if insecure or is_loopback(host) or (settings is not None and settings.keys):
        return
    raise ConfigurationError(
        f"--host {host}: without keys everybody who reaches that address may call, and spend. "
        "Configure `keys` (`paretogate key NAME` makes one), or say --insecure where something before it asks for keys"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name that is no address is believed to be elsewhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_workers(settings: Settings, workers: int) -> None:
    """Several processes without a shared book would each hold the whole capacity."""
    if workers > 1 and not settings.load.redis.get_secret_value():
        raise ConfigurationError(f"--workers {workers}: several processes need a shared load book; set load.redis")
