"""Sends the queries of a pool to a live gateway, at a rate or by so many clients at once."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from gateway.lab.drive_reply import Call, Sent, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from predictors.pool import Queries

CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How to send."""

    base_url: str  # as an OpenAI client takes it
    model: str = "auto"
    stream: bool = False
    min_quality: float | None = None  # a floor for each query
    concurrency: int = CONCURRENCY  # clients, each of which waits for its answer
    rate: float | None = None  # arrivals per second instead, whether or not answers come (Poisson, seeded)
    api_key: str | None = None
    timeout: float = 600.0  # seconds that a client waits for the end of one answer


def calls(queries: Queries, rows: Sequence[int], plan: Plan) -> Iterator[Call]:
    """The requests for some rows of a pool, in that order."""
    fixed: dict[str, Any] = {"model": plan.model}
    if plan.stream:
        fixed["stream"] = True
    if plan.min_quality is not None:
        fixed["routing"] = {"min_quality": plan.min_quality}
    for row in rows:
        tools = {"tools": queries.tools[row]} if queries.tools[row] else {}
        yield Call(row, msgspec.json.encode({**fixed, "messages": queries.messages[row], **tools}))


async def drive(queries: Queries, rows: Sequence[int], plan: Plan, seen: Callable[[Sent], None]) -> float:
    """Sends every row once and reports each end to `seen`; the seconds it took.

    Nothing is retried: what a client would see is what is counted.
    """
    clock = asyncio.get_running_loop().time
    url = plan.base_url.rstrip("/") + "/chat/completions"
    key = {"authorization": f"Bearer {plan.api_key}"} if plan.api_key else {}
    timeout = aiohttp.ClientTimeout(total=plan.timeout)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=key, timeout=timeout, connector=connector) as session:

        async def once(call: Call) -> None:
            seen(await send(session, url, call, stream=plan.stream))

        started = clock()
        waiting = calls(queries, rows, plan)
        if plan.rate is None:
            await _by_clients(waiting, plan.concurrency, once)
        else:
            await _by_rate(waiting, plan.rate, once)
        return clock() - started


async def _by_clients(waiting: Iterator[Call], clients: int, once: Callable[[Call], Any]) -> None:
    async def client() -> None:
        for call in waiting:
            await once(call)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


async def _by_rate(waiting: Iterator[Call], rate: float, once: Callable[[Call], Any]) -> None:
    clock = asyncio.get_running_loop().time
    due = clock()
    gaps = random.Random(0)
    async with asyncio.TaskGroup() as group:
        for call in waiting:
            await asyncio.sleep(max(0.0, due - clock()))
            group.create_task(once(call))
            due += gaps.expovariate(rate)
