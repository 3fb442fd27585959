"""`paretogate train`: pools become an artifact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from predictors.artifact import ArtifactError, save
from predictors.encoder import ENGINES, EncoderError
from predictors.pool import PoolError, read_pool
from predictors.registry import KINDS
from predictors.training import TrainingError, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from predictors.artifact import Artifact
    from predictors.pool import Pool


TUNABLE = "minilm"


class Options(TypedDict):
    """What any training takes."""

    predictor: str
    cell_size: int


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
    "--fine-tune",
    is_flag=True,
    help="Fine-tune the encoder (minilm) on half of the queries first; the extra train, and better a GPU.",
)
@click.option("--epochs", default=6, show_default=True, type=click.IntRange(1), help="Of fine-tuning, at most.")
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
    fine_tune: bool,
    epochs: int,
    cell_size: int,
    seed: int,
) -> None:
    """Fits a predictor on outcome data, measures it on queries left out, and writes an artifact."""
    files = [*pools, *more]
    try:
        outcomes = [read_pool(path) for path in files]
        with click.progressbar(length=1000, label="train", file=sys.stderr) as bar:
            names = [*["encoder"] * fine_tune, "folds", "tasks left out", "all queries"]
            steps = {name: done for done, name in enumerate(names)}

            def tell(step: str, share: float) -> None:
                bar.update(max(0, round(1000 * (steps[step] + share) / len(steps)) - bar.pos))

            line = _command_line(files, encoder, predictor, cell_size, seed)
            options: Options = {"predictor": predictor, "cell_size": cell_size}
            if fine_tune:
                made = _tuned(
                    outcomes,
                    artifact,
                    encoder,
                    epochs=epochs,
                    seed=seed,
                    progress=tell,
                    command=f"{line} --fine-tune --epochs {epochs}",
                    **options,
                )
            else:
                made = train(
                    outcomes,
                    encoder=encoder,
                    encoder_key=encoder_key,
                    seed=seed,
                    progress=tell,
                    command=line,
                    **options,
                )
        save(made, artifact)
    except (PoolError, EncoderError, TrainingError, ArtifactError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{artifact}: cannot be written: {error.strerror or error}") from error
    measured = ", ".join(f"{name} {value:.3f}" for name, value in made.manifest.metrics.items())
    queries = made.manifest.training["queries"]
    click.echo(f"{artifact}: {len(made.manifest.models)} models, {queries} queries; held out: {measured or 'too few'}")


def _tuned(
    outcomes: Sequence[Pool],
    artifact: Path,
    encoder: str,
    *,
    epochs: int,
    seed: int,
    progress: Callable[[str, float], None],
    command: str,
    **options: Unpack[Options],
) -> Artifact:
    from predictors.finetune_train import train_tuned  # noqa: PLC0415 - what else is trained needs none of it

    name, _, begin = encoder.partition(":")
    if name not in {TUNABLE, ENGINES[0]}:
        raise TrainingError(f"--fine-tune takes --encoder {TUNABLE} or {TUNABLE}:FOLDER, not {name}")
    return train_tuned(
        outcomes, artifact, begin=begin, epochs=epochs, seed=seed, progress=progress, command=command, **options
    )


def _command_line(files: list[Path], encoder: str, predictor: str, cell_size: int, seed: int) -> str:
    """As it would be typed beside the pools; folders of this machine stay out of the artifact."""
    pools = " ".join(f"--pool {path.name}" for path in files)
    return (
        f"paretogate train {pools} --artifact DIR --encoder {encoder.partition(':')[0]} --predictor {predictor} "
        f"--cell-size {cell_size} --seed {seed}"
    )
