"""Is a key's budget kept? Two gateway processes on one Redis, 64 clients at once, until nobody is served any more.

    python -m tests.bench.budget --usd 1

The upstream is a replay of made-up models whose answers vary in length. What was spent is summed from the usage that
clients were told, and compared with the budget and with a reservation: at least what the dearest answer cost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import aiohttp
import yaml

from tests.redis_server import RedisServer
from tests.running import PARETOGATE, running

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = "pg-bench"
CLIENTS: Final = 64
QUERIES: Final = 200
MEAN_TOKENS: Final = 300


@dataclass
class Spent:
    """What clients were told."""

    usd: float = 0.0
    served: int = 0
    refused: int = 0
    other: dict[int, int] = field(default_factory=dict)
    largest_usd: float = 0.0  # of one answer


def pool(path: Path, rng: random.Random) -> list[str]:
    """Questions whose answers are between a tenth and three times as long as the mean."""
    rows = []
    for number in range(QUERIES):
        length = max(20, round(rng.lognormvariate(0, 0.6) * MEAN_TOKENS))
        rows.append(
            {"query_id": f"q{number}", "text": f"Question {number}?", "score:made-up": 1, "out:made-up": length}
        )
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return [str(row["text"]) for row in rows]


def configuration(upstream: str, redis: str, usd: float, price: float) -> dict[str, object]:
    return {
        "version": 1,
        "models": [
            {
                "name": "made-up",
                "price": {"input": price, "output": price},
                "prior": {"quality": 0.8, "output_tokens": MEAN_TOKENS},
            }
        ],
        "endpoints": [{"name": "one", "model": "made-up", "url": f"{upstream}/made-up/v1"}],
        "keys": [
            {
                "name": "shop",
                "hash": f"sha256:{sha256(TOKEN.encode()).hexdigest()}",
                "budget": {"usd": usd, "per": "month"},
            }
        ],
        "load": {"redis": redis},
    }


async def client(
    session: aiohttp.ClientSession, url: str, questions: Iterator[str], price: float, spent: Spent
) -> None:
    """Asks until it is told that the budget is spent."""
    while True:
        body = {"model": "made-up", "messages": [{"role": "user", "content": next(questions)}]}
        async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
            told = await answer.json()
            if answer.status == 200:
                usd = told["usage"]["total_tokens"] * price / 1e6
                spent.served, spent.usd = spent.served + 1, spent.usd + usd
                spent.largest_usd = max(spent.largest_usd, usd)
            elif told["error"]["code"] == "insufficient_quota":
                spent.refused += 1
                return
            else:
                spent.other[answer.status] = spent.other.get(answer.status, 0) + 1


async def crowd(urls: list[str], questions: list[str], price: float) -> Spent:
    spent, rng = Spent(), random.Random(1)
    endless = iter(lambda: rng.choice(questions), "")
    async with (
        aiohttp.ClientSession(
            headers={"authorization": f"Bearer {TOKEN}"}, connector=aiohttp.TCPConnector(limit=0)
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for number in range(CLIENTS):
            group.create_task(client(session, urls[number % len(urls)], endless, price, spent))
    return spent


def run(usd: float, queries: int) -> Spent:
    """Spends the budget; the price is such that about so many queries do it."""
    price = usd * 1e6 / (queries * MEAN_TOKENS * 1.2)
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        questions = pool(folder / "pool.jsonl", random.Random(2))
        command: list[str | Path] = [
            PARETOGATE,
            "replay-upstream",
            "--pool",
            folder / "pool.jsonl",
            "--port",
            "0",
            "--speed",
            "20",
        ]
        upstream = stack.enter_context(running(command))
        redis = stack.enter_context(RedisServer())
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(configuration(upstream.url, redis.url, usd, price)), encoding="utf-8")
        serve: list[str | Path] = [PARETOGATE, "serve", "--config", path, "--port", "0"]
        urls = [stack.enter_context(running(serve)).url for _ in range(2)]
        spent = asyncio.run(crowd(urls, questions, price))
        with redis.client() as link:
            [counter] = [str(name) for name in link.keys("*spent*")]
            print(f"Redis counts {float(str(link.get(counter))) / 1e9:.6f} USD in {counter}")
        return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--usd", type=float, default=1.0, help="the key's budget")
    parser.add_argument("--queries", type=int, default=2000, help="about so many answers spend it")
    arguments = parser.parse_args()
    spent = run(arguments.usd, arguments.queries)
    over = spent.usd - arguments.usd
    print(f"budget {arguments.usd:.6f} USD, {CLIENTS} clients, 2 gateways")
    print(f"served {spent.served} answers for {spent.usd:.6f} USD; {spent.refused} clients were told that it is spent")
    print(f"other refusals: {spent.other or 'none'}")
    print(f"dearest answer {spent.largest_usd:.6f} USD; a reservation is a tenth more")
    print(f"overspent by {max(0.0, over):.6f} USD" if over > 0 else f"not overspent: {-over:.6f} USD are left")


if __name__ == "__main__":
    main()
