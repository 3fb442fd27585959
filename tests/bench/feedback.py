"""What feedback mends: python -m tests.bench.feedback [--pool FILE] [--queries N] [--json].

Every model answers worse, by UNDER, than the artifact was told. A real gateway on that artifact, a replay upstream, and
a client that scores each answer by POST /v1/feedback: the promise goes by the artifact's outcomes at first, and by
feedback then. Asked is a success MARGIN under the best model's real one. Without a pool, questions and outcomes are
made up; with one, a random half trains and the other half is asked, over and over until N queries have been sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np

from gateway.lab.drive import Plan, drive
from predictors.artifact import save
from predictors.pool import read_pool
from predictors.training import train
from tests.running import running

if TYPE_CHECKING:
    from gateway.lab.drive_reply import Sent
    from predictors.pool import Pool

UNDER = 0.10  # how far real success is under what the artifact was told, for every model
MARGIN = 0.12  # how far the asked success is under the best model's
WINDOWS = ((0, 1_000), (1_000, 2_000), (2_000, 4_000))
CLIENTS = 8
MODELS = {
    "small": (0.35, 0.50, 0.1),
    "medium": (0.60, 0.30, 0.5),
    "large": (0.78, 0.20, 3.0),
}  # hard, + easy, USD per M
LIVE = re.compile(r"(?:ready|running) .*?(http://127\.0\.0\.1:\d+)")
TRAINING = 1_500  # made-up questions that train


@dataclass(frozen=True)
class Made:
    """What the bench runs on."""

    told: Path  # the pool that trains
    real: Path  # the pool that answers


def made_up(folder: Path, asked: int, seed: int) -> Made:
    """Questions whose words tell how hard they are, and outcomes drawn from that."""
    draw = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(TRAINING + asked):
        hard = draw.random()
        words = draw.choice(["sum", "plus", "list", "name"], 4).tolist() + draw.choice(["prove", "lemma"], 4).tolist()
        kept = [word for word in words if (word in {"prove", "lemma"}) == (draw.random() < hard)]
        row: dict[str, Any] = {"query_id": f"q{number}", "text": f"{' '.join(kept)} case {number}"}
        for name, (least, easy, price) in MODELS.items():
            share = least + easy * (1 - hard) - (UNDER if number >= TRAINING else 0.0)
            row |= {f"score:{name}": float(draw.random() < share), f"out:{name}": 100, f"in:{name}": 20}
            row[f"cost:{name}"] = 120 * price / 1e6
        rows.append(row)
    return Made(_written(folder / "told.jsonl", rows[:TRAINING]), _written(folder / "real.jsonl", rows[TRAINING:]))


def halved(folder: Path, source: Path, seed: int) -> Made:
    """A recorded pool: one half as it is, the other with answers spoilt until each model is UNDER its own success."""
    pool, draw = read_pool(source), np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    spoilt = draw.random(pool.score.shape) < UNDER / np.nanmean(pool.score, axis=0)
    order = draw.permutation(len(pool.queries.ids))
    for place, row in enumerate(order.tolist()):
        each: dict[str, Any] = {"query_id": pool.queries.ids[row], "text": pool.queries.texts[row]}
        for column, model in enumerate(pool.models):
            score = pool.score[row, column] * (0.0 if spoilt[row, column] and place >= len(order) // 2 else 1.0)
            amounts = {"cost": pool.cost, "in": pool.input_tokens, "out": pool.output_tokens}
            cells = {"score": score} | {kind: table[row, column] for kind, table in amounts.items()}
            each |= {f"{kind}:{model}": float(value) for kind, value in cells.items() if not np.isnan(value)}
        rows.append(each)
    middle = len(rows) // 2
    return Made(_written(folder / "told.jsonl", rows[:middle]), _written(folder / "real.jsonl", rows[middle:]))


def configuration(pool: Pool, artifact: Path, upstream: str, asked: float, folder: Path) -> Path:
    """A gateway before the pool's models, promising `asked`."""
    price = (
        np.nanmean(pool.cost, axis=0) / 1e-6 / max(1.0, float(np.nanmean(np.nan_to_num(pool.output_tokens, nan=100))))
    )
    tree = {
        "version": 1,
        "models": [
            {"name": name, "price": {"input": 0, "output": float(each)}}
            for name, each in zip(pool.models, price, strict=True)
        ],
        "endpoints": [{"name": name, "model": name, "url": f"{upstream}/{name}/v1"} for name in pool.models],
        "routes": [{"name": "auto", "objective": {"min_quality": asked}}],
        "predictor": {"artifact": str(artifact), "budget_ms": 5000},
        "log": {"url": f"sqlite:///{folder}/log.sqlite"},
    }
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
    return path


async def ask(pool: Pool, queries: int, url: str) -> list[Sent]:
    """Sends the pool's queries, and the score of each answer as soon as it is there."""
    ended: list[Sent] = []
    fresh: asyncio.Queue[Sent | None] = asyncio.Queue()

    def seen(sent: Sent) -> None:
        ended.append(sent)
        fresh.put_nowait(sent)

    async def score() -> None:
        async with aiohttp.ClientSession() as session:
            while (sent := await fresh.get()) is not None:
                given = {"decision_id": sent.decision, "score": sent.score}
                async with session.post(f"{url}/v1/feedback", json=given) as answer:
                    answer.raise_for_status()

    rows = [number % len(pool.queries.ids) for number in range(queries)]
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(score())
        await drive(pool.queries, rows, Plan(f"{url}/v1", concurrency=CLIENTS), seen)
        print(f"feedback on its way when the last answer came: {fresh.qsize()}", file=sys.stderr)
        for _ in range(CLIENTS):
            fresh.put_nowait(None)
    return ended


def run(source: Path | None, queries: int, seed: int) -> dict[str, Any]:
    """One whole run, as one JSON object."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = made_up(folder, queries, seed) if source is None else halved(folder, source, seed)
        save(train([read_pool(made.told)]), folder / "artifact")
        pool = read_pool(made.real)
        best = float(np.nanmean(pool.score, axis=0).max())
        asked = best - MARGIN
        python = [sys.executable, "-m", "gateway"]
        replay = [*python, "replay-upstream", "--pool", str(made.real), "--port", "0", "--speed", "1000"]
        with running(replay) as upstream:
            file = configuration(pool, folder / "artifact", upstream.url, asked, folder)
            with running([*python, "serve", "--config", str(file), "--port", "0"], ready=LIVE) as gateway:
                ended = asyncio.run(ask(pool, queries, gateway.url))
    scores = np.array([np.nan if sent.score is None else sent.score for sent in ended])
    predicted = np.array([np.nan if sent.quality is None else sent.quality for sent in ended])
    windows = [
        {
            "queries": f"{start + 1}-{end}",
            "realised": round(float(np.nanmean(scores[start:end])), 4),
            "predicted": round(float(np.nanmean(predicted[start:end])), 4),
            "standard_error": round(float(np.nanstd(scores[start:end]) / (end - start) ** 0.5), 4),
        }
        for start, end in WINDOWS
        if end <= queries
    ]
    return {
        "pool": "made up" if source is None else source.stem,
        "asked": round(asked, 4),
        "best_model": round(best, 4),
        "under": UNDER,
        "seed": seed,
        "unanswered": sum(sent.score is None for sent in ended),
        "windows": windows,
    }


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pool", type=Path, help="outcome data; default: made up")
    arguments.add_argument("--queries", type=int, default=4_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    result = run(given.pool, given.queries, given.seed)
    if given.json:
        print(json.dumps(result))
        return
    print(
        f"{result['pool']}: asked {result['asked']}, the best model has {result['best_model']}, {UNDER} less than told"
    )
    for window in result["windows"]:
        off = window["realised"] - result["asked"]
        print(
            f"  queries {window['queries']:>9}: realised {window['realised']:.4f} ± {window['standard_error']:.4f} "
            f"({100 * off:+.1f} points), promised to the client {window['predicted']:.4f}"
        )


if __name__ == "__main__":
    main()
