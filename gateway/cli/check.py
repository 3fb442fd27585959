"""`paretogate check`: is this configuration right, and what does it mean?"""

from __future__ import annotations

import os
from pathlib import Path

import click

from gateway.app import artifact_of, fleet_of
from gateway.core.listing import objective
from gateway.errors import ConfigurationError
from gateway.estimator import columns_for
from gateway.settings import read


@click.command(name="check")
@click.argument("file", type=click.Path(path_type=Path))
def command(*, file: Path) -> None:
    """Validates a configuration, loads what it names, and says what it means. No endpoint is contacted."""
    try:
        settings = read(file, os.environ)
        artifact = artifact_of(settings)
        fleet = fleet_of(settings)
        columns = columns_for(fleet.models, artifact.predictor if artifact else None)
        otherwise = "the predictor service, else by its prior" if settings.predictor.url else "its prior"
    except ConfigurationError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{file}: good")
    known = artifact.predictor.models if artifact else ()
    for place, model in enumerate(fleet.models):
        column = int(columns.known[place])
        described = f"described by the artifact's {known[column]}" if column >= 0 else f"described by {otherwise}"
        endpoints = [fleet.endpoints[index] for index in fleet.endpoints_of_model[model.name]]
        slots = sum(endpoint.capacity.concurrency for endpoint in endpoints)
        served = f"{len(endpoints)} endpoint(s), {slots} slots" if endpoints else "NO endpoint: it will not be used"
        price = f"{model.price.input:g} / {model.price.output:g} USD per million tokens in / out"
        click.echo(f"  model {model.name}: {price}; {described}; {served}")
    for route in fleet.routes.values():
        ((name, value),) = objective(route.objective).items()
        click.echo(
            f"  route {route.name}: {name} {value} over {', '.join(fleet.candidates(route.name)) or 'NO served model'}"
        )
    shared = "shared through Redis" if settings.load.redis.get_secret_value() else "in this process"
    click.echo(f"  load is kept {shared}; a query waits at most {settings.queue.max_wait_s:g} s for room")
