"""`paretogate check`: is this configuration right, and what does it mean?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.configured import artifact_of, fleet_of
from gateway.core.listing import objective
from gateway.errors import ConfigurationError
from gateway.estimator import columns_for
from gateway.estimator.columns import UNKNOWN
from gateway.settings import read

if TYPE_CHECKING:
    from gateway.domain import Model
    from gateway.settings import Settings


@click.command(name="check")
@click.argument("file", type=click.Path(path_type=Path))
def command(*, file: Path) -> None:
    """Validates a configuration, loads what it names, and says what it means. No endpoint is contacted."""
    try:
        settings = read(file, os.environ)
        artifact = artifact_of(settings)
        fleet = fleet_of(settings)
        columns = columns_for(fleet.models, artifact.predictor if artifact else None)
    except ConfigurationError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{file}: good")
    known = artifact.predictor.models if artifact else ()
    for place, model in enumerate(fleet.models):
        column = int(columns.known[place])
        described = f"described by the artifact's {known[column]}" if column >= 0 else f"described by {_prior(model)}"
        if settings.predictor.url:
            described = f"described by the predictor service, else by {_prior(model)}"
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
    click.echo(f"  callers: {_callers(settings)}")
    shared = "shared through Redis" if settings.load.redis.get_secret_value() else "in this process"
    click.echo(f"  load is kept {shared}; a query waits at most {settings.queue.max_wait_s:g} s for room")


def _prior(model: Model) -> str:
    if model.prior is not None:
        return f"its prior, quality {model.prior.quality:g}"
    return f"NOTHING: quality {UNKNOWN.quality:g} is assumed; give like, prior or an artifact that knows it"


def _callers(settings: Settings) -> str:
    """Names, never tokens; their hashes are nobody's business either."""
    return ", ".join(key.name for key in settings.keys) or "anyone, no keys are configured"
