"""`paretogate replay-upstream`: a pool's models as OpenAI-compatible endpoints."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
import uvloop

from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_fault_kinds import KINDS
from gateway.lab.replay_pace import Pace
from predictors.pool import PoolError, read_pool


@click.command(name="replay-upstream")
@click.option("--pool", required=True, type=click.Path(path_type=Path), help="Outcome data: .parquet or .jsonl.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8100, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--speed",
    default=50.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Times faster than the real models; inf answers at once.",
)
@click.option("--slots", default="", metavar="MODEL=K,…", help="Concurrency limits; 429 beyond them. MODEL may be *.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="MODEL=KIND[:HOW]",
    help=f"HOW: a share (0.1), or the first so many (x3). KIND: {', '.join(KINDS)}.",
)
def command(*, pool: Path, host: str, port: int, speed: float, slots: str, faults: tuple[str, ...]) -> None:
    """Serves each model of a pool at /MODEL/v1, with recorded lengths, scores and a latency model.

    Counts are at /replay/stats; PUT a JSON list of faults to /replay/faults to change them.
    """
    try:
        answers = PoolAnswers(read_pool(pool))
        replay = Replay(answers, pace=Pace(speed=speed), slots=slots_of(slots, answers.models), faults=faults)
    except (PoolError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    uvloop.run(_serve(replay, host, port, answers.models))


def slots_of(text: str, models: tuple[str, ...]) -> dict[str, int]:
    """Limits by model from `MODEL=K,…`; `*` stands for every model that is not named.

    Raises:
        ValueError: a part is not MODEL=K with K of 1 or more.
    """
    limits: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        model, _, count = part.rpartition("=")
        if not model or not count.isdecimal() or int(count) < 1:
            raise ValueError(f"--slots: {part!r} is not MODEL=K with K of 1 or more")
        limits[model.strip()] = int(count)
    everyone = limits.pop("*", None)
    return limits if everyone is None else {**dict.fromkeys(models, everyone), **limits}


async def _serve(replay: Replay, host: str, port: int, models: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving(replay, host=host, port=port) as url:
            for model in models:
                click.echo(f"  {endpoint_url(url, model)}")
            click.echo(f"replay-upstream is ready at {url}")
            await stop.wait()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
