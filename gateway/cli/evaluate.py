"""`paretogate evaluate`: every method side by side on outcome data, as results.json and an HTML report."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from gateway.errors import ConfigurationError
from predictors.artifact import ArtifactError
from predictors.encoder import EncoderError
from predictors.pool import PoolError, read_pool
from predictors.registry import load_artifact
from predictors.training import TrainingError, train

if TYPE_CHECKING:
    from gateway.lab.evaluate import Subject
    from gateway.lab.evaluate_fit import Share
    from gateway.lab.evaluate_results import PoolResult, Results
    from predictors.artifact import Artifact
    from predictors.pool import Pool

RESULTS, REPORT = "results.json", "report.html"
STEPS = {"folds": (0, 300), "groups left out": (300, 850), "methods": (850, 1000)}  # thousandths of a pool's bar


@click.command(name="evaluate")
@click.option(
    "--pool", "pools", required=True, multiple=True, type=click.Path(path_type=Path), help="Outcome data; repeatable."
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--artifact", required=True, help="What `train` wrote, or `starter`.")
@click.option("--report", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--draws", default=1_000, show_default=True, type=click.IntRange(20), help="Bootstrap draws.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of folds, fits and draws.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json too.")
def command(
    *,
    pools: tuple[Path, ...],
    more: tuple[Path, ...],
    artifact: str,
    report: Path,
    draws: int,
    seed: int,
    as_json: bool,
) -> None:
    """Compares all methods on queries that the predictor has not learned from.

    A pool of texts that are new to the artifact is predicted as it is; texts that it knows are left out and counted;
    where they are half of the pool or more, the artifact's recipe is trained anew by five folds.
    """
    files = [*pools, *more]
    try:
        outcomes = [read_pool(path) for path in files]
        began = perf_counter()
        trained = load_artifact(artifact)
        results = _results(files, outcomes, trained, seconds=perf_counter() - began, draws=draws, seed=seed)
    except (PoolError, ArtifactError, ConfigurationError, EncoderError, TrainingError) as error:
        raise click.ClickException(str(error)) from error
    _write(results, report)
    if as_json:
        click.echo((report / RESULTS).read_text(encoding="utf-8"), nl=False)
        return
    for pool in results.pools:
        click.echo(_line(pool))
    click.echo(f"{report / REPORT}")


def _results(
    files: list[Path], outcomes: list[Pool], trained: Artifact, *, seconds: float, draws: int, seed: int
) -> Results:
    from gateway.lab.evaluate import evaluate_pool  # noqa: PLC0415 - scikit-learn, of the offline extra
    from gateway.lab.evaluate_latency import latency  # noqa: PLC0415 - as above
    from gateway.lab.evaluate_results import FORMAT, QUALITY_SHARES, Results  # noqa: PLC0415 - as above

    subject = _subject(trained, seed)
    found = []
    for path, pool in zip(files, outcomes, strict=True):
        with click.progressbar(length=1000, label=path.stem, item_show_func=str, file=sys.stderr) as bar:

            def tell(step: str, share: float) -> None:
                start, end = STEPS[step]
                bar.update(max(0, round(start + share * (end - start)) - bar.pos), step)

            found.append(evaluate_pool(path.stem, pool, subject, draws=draws, seed=seed, tell=tell))
            bar.update(1000 - bar.pos, "done")
    manifest = trained.manifest
    pools = " ".join(f"--pool {path.name}" for path in files)
    return Results(
        format=FORMAT,
        version=version("paretogate"),
        command=f"paretogate evaluate {pools} --artifact DIR --report DIR --draws {draws} --seed {seed}",
        artifact={
            "predictor": manifest.predictor,
            "encoder": manifest.encoder,
            "models": len(manifest.models),
            "trained on": f"{manifest.training.get('queries', '?')} queries",
            "made by": manifest.command,
        },
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        seed=seed,
        draws=draws,
        quality_shares=QUALITY_SHARES,
        latency=latency(trained.predictor, outcomes[0].queries.prompts),
        load_seconds=seconds,
        pools=tuple(found),
    )


def _subject(trained: Artifact, seed: int) -> Subject:
    from gateway.lab.evaluate import Subject  # noqa: PLC0415 - as above
    from gateway.lab.evaluate_fit import Fitted  # noqa: PLC0415 - as above

    def fit(pool: Pool, tell: Share) -> Fitted:
        recipe = trained.manifest
        if "tuned" in recipe.training:
            raise click.ClickException(
                "the artifact's encoder was fine-tuned on outcomes of these queries, so that fitting the rest anew "
                "would flatter it; evaluate it on a pool that it was not trained on"
            )
        steps = {"folds": 0.0, "tasks left out": 1.0, "all queries": 2.0}
        made = train(
            [pool],
            encoder=recipe.encoder,
            predictor=recipe.predictor,
            seed=seed,
            progress=lambda step, share: tell((steps[step] + share) / len(steps)),
        )
        return Fitted(made.predictor, made.held_out)

    return Subject(Fitted(trained.predictor, trained.held_out), fit, trained.text_hashes)


def _write(results: Results, folder: Path) -> None:
    from gateway.lab.evaluate_results import as_json  # noqa: PLC0415 - as above
    from gateway.lab.report import render  # noqa: PLC0415 - as above

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULTS).write_text(as_json(results), encoding="utf-8")
        (folder / REPORT).write_text(render(results), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{folder}: cannot be written: {error.strerror or error}") from error


def _line(pool: PoolResult) -> str:
    from gateway.lab.report_pool import headline, strongest_rival  # noqa: PLC0415 - as above
    from gateway.lab.report_words import figure, share  # noqa: PLC0415 - as above

    ours, rival = headline(pool), strongest_rival(pool)
    aiqs = [figure(each.aiq.value) if each.aiq else "?" for each in (ours, rival)]
    return (
        f"{pool.name}: {pool.queries} queries ({pool.rule}, {pool.excluded} left out); AIQ {aiqs[0]} "
        f"({rival.label} {aiqs[1]}); 95 % of {pool.best_single} for {share(ours.cost_at[1])} of its cost; "
        f"calibration error {figure(pool.reliability[0].ece, 3)}"
    )
