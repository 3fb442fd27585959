"""`paretogate collect`: outcome data of one's own."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
import uvloop

from gateway.configured import api_keys, fleet_of
from gateway.core.fleet import matching
from gateway.errors import ConfigurationError
from gateway.house import now, wall
from gateway.lab.collect.asking import Asker
from gateway.lab.collect.grading import Kind
from gateway.lab.collect.journal import JournalError, journal_of, opened
from gateway.lab.collect.outcome import in_words, pool_columns, summary
from gateway.lab.collect.prompts import read_prompts
from gateway.lab.collect.purse import Purse
from gateway.lab.collect.run import Run
from gateway.settings import read
from gateway.upstream import Upstream
from predictors.pool import PoolError
from predictors.table import TableError, check_suffix, write_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.fleet import Fleet
    from gateway.domain import Model
    from gateway.lab.collect.journal import Journal
    from gateway.lab.collect.prompts import Question
    from gateway.settings import Settings

FIELD = "NAME=JSON"


@dataclass(frozen=True)
class Plan:
    """What one run is to do."""

    settings: Settings
    fleet: Fleet
    models: list[Model]
    judge: Model | None
    questions: list[Question]
    fields: dict[str, Any]
    max_tokens: int
    budget_usd: float


@click.command(name="collect")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="Models, prices and endpoints.")
@click.option("--prompts", required=True, type=click.Path(path_type=Path), help="What to ask: .parquet or .jsonl.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The pool to write: .parquet or .jsonl.")
@click.option("--models", "globs", multiple=True, help="Only these; * and ? allowed; repeatable.")
@click.option(
    "--grader",
    default=Kind.EXACT.value,
    show_default=True,
    type=click.Choice([kind.value for kind in Kind]),
    help="Of rows without one.",
)
@click.option("--judge", metavar="MODEL", help="The configured model that judges; not asked itself unless in --models.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Spend no more than this, earlier runs included.")
@click.option("--max-tokens", default=1024, show_default=True, type=click.IntRange(1), help="Of an answer.")
@click.option("--field", "fields", multiple=True, metavar=FIELD, help="Send this too, as temperature=0; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(
    *,
    config: Path,
    prompts: Path,
    out: Path,
    globs: tuple[str, ...],
    grader: str,
    judge: str | None,
    budget_usd: float | None,
    max_tokens: int,
    fields: tuple[str, ...],
    as_json: bool,
) -> None:
    """Asks every configured model every prompt, grades the answers, and writes a pool.

    Run again, it goes on where it ended: answers are kept in a journal beside the pool, and failures are asked again.
    """
    try:
        check_suffix(out)
        settings = read(config, os.environ)
        fleet = fleet_of(settings)
        questions = read_prompts(prompts, default=Kind(grader))
        judging = _judge(fleet, judge, questions)
        plan = Plan(
            settings,
            fleet,
            _asked(fleet, globs, judging),
            judging,
            questions,
            dict(map(_field, fields)),
            max_tokens,
            float("inf") if budget_usd is None else budget_usd,
        )
        with opened(journal_of(out)) as journal:
            report = _collected(plan, journal, out)
    except (ConfigurationError, PoolError, TableError, JournalError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(report) if as_json else in_words(report))
    if questions and not report["scored"]:
        raise click.ClickException(f"no answer was scored ({', '.join(report['errors']) or 'the budget is too small'})")


def _collected(plan: Plan, journal: Journal, out: Path) -> dict[str, Any]:
    """Runs, and writes the pool whatever way the run ends."""
    began = perf_counter()
    purse = Purse(plan.budget_usd, journal.spent_usd)
    try:
        with click.progressbar(length=len(plan.questions) * len(plan.models), label="collect", file=sys.stderr) as bar:
            uvloop.run(_run(plan, journal, purse, lambda: bar.update(1)))
    finally:
        half = out.with_name(f".{out.stem}.half{out.suffix}")
        write_table(half, pool_columns(plan.questions, plan.models, journal.records))
        half.replace(out)
    return summary(plan.questions, plan.models, journal.records) | {
        "spent_usd": purse.spent,
        "budget_reached": purse.reached,
        "seconds": round(perf_counter() - began, 3),
    }


async def _run(plan: Plan, journal: Journal, purse: Purse, ended: Callable[[], None]) -> None:
    async with Upstream(api_keys(plan.settings), now=now, wall=wall) as upstream:
        asker = Asker(plan.fleet, upstream, purse, fields=plan.fields, max_tokens=plan.max_tokens, now=now)
        await Run(plan.fleet, asker, journal, judge=plan.judge, ended=ended)(plan.questions, plan.models)


def _judge(fleet: Fleet, name: str | None, questions: list[Question]) -> Model | None:
    if name is None:
        if any(each.grader.kind is Kind.JUDGE for each in questions):
            raise click.UsageError("a prompt is graded by a judge: name one of the models with --judge")
        return None
    if name not in fleet.served:
        raise click.UsageError(
            f"--judge: no served model is named {name!r}; there are {', '.join(sorted(fleet.served))}"
        )
    return fleet.models[fleet.model_index[name]]


def _asked(fleet: Fleet, globs: tuple[str, ...], judge: Model | None) -> list[Model]:
    served = [model.name for model in fleet.models if model.name in fleet.served]
    names = matching(served, globs) if globs else [name for name in served if judge is None or name != judge.name]
    if not names:
        raise click.UsageError(f"--models: no served model is meant; there are {', '.join(served) or 'none'}")
    return [fleet.models[fleet.model_index[name]] for name in names]


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name in ("model", "messages", "tools", "stream"):
        raise click.UsageError(
            f"--field {text!r}: write {FIELD}; model, messages, tools and stream are not yours to set"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
