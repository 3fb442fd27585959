"""`paretogate predictor`: an artifact as a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.cli.threads import one_thread


@click.command(name="predictor")
@click.option("--artifact", required=True, type=click.Path(path_type=Path), help='A folder, or "starter".')
@click.option("--encoder", default="", help="Where the artifact's encoder is, if not where training found it.")
@click.option("--encoder-key", default="", envvar="PARETOGATE_ENCODER_KEY", help="For an embeddings server.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--max-batch", default=256, show_default=True, type=click.IntRange(1), help="Queries that are computed together."
)
@click.option(
    "--max-waiting", default=4096, show_default=True, type=click.IntRange(1), help="Queries that wait; then 429."
)
@click.option("--drain-s", default=10.0, show_default=True, type=click.FloatRange(0), help="For answers after SIGTERM.")
def command(
    *,
    artifact: Path,
    encoder: str,
    encoder_key: str,
    host: str,
    port: int,
    max_batch: int,
    max_waiting: int,
    drain_s: float,
) -> None:
    """Serves an artifact to gateways with `predictor: {url: …}`. SIGTERM drains, a second one ends at once."""
    one_thread()
    from gateway.predicting.service import application  # noqa: PLC0415 - NumPy, which reads what was just set
    from gateway.server import serve_predictor  # noqa: PLC0415 - as above
    from predictors.artifact import ArtifactError  # noqa: PLC0415 - as above
    from predictors.registry import load_artifact  # noqa: PLC0415 - as above

    try:
        loaded = load_artifact(artifact, encoder, encoder_key)
    except ArtifactError as error:
        raise click.ClickException(str(error)) from error
    app = application(loaded, max_batch=max_batch, max_waiting=max_waiting, now=time.monotonic)
    click.echo(f"{artifact}: {len(loaded.manifest.models)} models, encoder {loaded.manifest.encoder}")
    serve_predictor(app, host=host, port=port, drain_s=drain_s)
