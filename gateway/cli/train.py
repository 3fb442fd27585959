"""`paretogate train`: pools become an artifact."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from predictors.artifact import ArtifactError, save
from predictors.encoder import ENGINES, EncoderError
from predictors.pool import PoolError, read_pool
from predictors.registry import KINDS
from predictors.training import TrainingError, train


def _known(_context: click.Context, _option: click.Parameter, encoder: str) -> str:
    if encoder.partition(":")[0] not in ENGINES:
        raise click.BadParameter(f"{encoder!r} is not one of {', '.join(ENGINES)}")
    return encoder


@click.command(name="train")
@click.option(
    "--pool", "pools", required=True, multiple=True, type=click.Path(path_type=Path), help="Outcome data; repeatable."
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--artifact", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--encoder",
    default=ENGINES[0],
    show_default=True,
    callback=_known,
    metavar="NAME[:PLACE]",
    help=f"One of {', '.join(ENGINES)}; PLACE is the folder of its model, or URL#MODEL of a server (remote).",
)
@click.option("--encoder-key", default="", envvar="PARETOGATE_ENCODER_KEY", help="For an embeddings server.")
@click.option("--predictor", default=KINDS[0], show_default=True, type=click.Choice(KINDS))
@click.option(
    "--cell-size",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Keep nothing finer than means of so many queries; 8 for an artifact that is shared.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def command(
    *,
    pools: tuple[Path, ...],
    more: tuple[Path, ...],
    artifact: Path,
    encoder: str,
    encoder_key: str,
    predictor: str,
    cell_size: int,
    seed: int,
) -> None:
    """Fits a predictor on outcome data, measures it on queries left out, and writes an artifact."""
    files = [*pools, *more]
    try:
        outcomes = [read_pool(path) for path in files]
        with click.progressbar(length=1000, label="train", file=sys.stderr) as bar:
            steps = {name: done for done, name in enumerate(("folds", "tasks left out", "all queries"))}

            def tell(step: str, share: float) -> None:
                bar.update(max(0, round(1000 * (steps[step] + share) / len(steps)) - bar.pos))

            made = train(
                outcomes,
                encoder=encoder,
                encoder_key=encoder_key,
                predictor=predictor,
                seed=seed,
                cell_size=cell_size,
                progress=tell,
                command=_command_line(files, encoder, predictor, cell_size, seed),
            )
        save(made, artifact)
    except (PoolError, EncoderError, TrainingError, ArtifactError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{artifact}: cannot be written: {error.strerror or error}") from error
    measured = ", ".join(f"{name} {value:.3f}" for name, value in made.manifest.metrics.items())
    queries = made.manifest.training["queries"]
    click.echo(f"{artifact}: {len(made.manifest.models)} models, {queries} queries; held out: {measured or 'too few'}")


def _command_line(files: list[Path], encoder: str, predictor: str, cell_size: int, seed: int) -> str:
    """As it would be typed beside the pools; folders of this machine stay out of the artifact."""
    pools = " ".join(f"--pool {path.name}" for path in files)
    return (
        f"paretogate train {pools} --artifact DIR --encoder {encoder.partition(':')[0]} --predictor {predictor} "
        f"--cell-size {cell_size} --seed {seed}"
    )
