"""Asks endpoints how busy they are, and tells the load book what of it is not ours. Leases are never touched."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.paces import Queue
from gateway.domain import Kind
from gateway.load.background import background
from gateway.load.base import Foreign
from gateway.load.reports import foreign, remaining

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    import httpx

    from gateway.domain import Endpoint
    from gateway.load.base import LoadBook
    from gateway.load.reports import Report

INTERVAL_S = 1.0
JITTER = 0.2  # of the interval, either way: replicas do not ask all at once
STALE_AFTER = 3  # intervals
ASKED = frozenset({Kind.VLLM, Kind.OLLAMA})


@dataclass(frozen=True, slots=True)
class Seen:
    """The last report of an endpoint, and when it was made."""

    report: Report
    at: float  # seconds of the book's clock


class Truth:
    """Scrapes on a timer. What cannot be read is not believed, and what is old is forgotten.

    Args:
        endpoints: those of kind vllm and ollama are asked; the others speak in their answers' headers, see `heard`.
        book: is told what is not ours. While it is not shared, other replicas' load would pass for foreign: then
            nothing is corrected.
        client: for the scrapes; None where nobody is asked.
        clock: the book's.
        draw: a number in [0, 1), for the jitter.
        interval_s: between two scrapes of an endpoint.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        book: LoadBook,
        client: httpx.AsyncClient | None,
        clock: Callable[[], float],
        draw: Callable[[], float],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._asked = tuple(endpoint for endpoint in endpoints if endpoint.kind in ASKED)
        self._book = book
        self._client = client
        self._clock = clock
        self._draw = draw
        self._interval_s = interval_s
        self._seen: dict[str, Seen] = {}

    def report(self, endpoint: str) -> Report | None:
        """The last report, unless there is none or it is stale."""
        seen = self._seen.get(endpoint)
        return None if seen is None or self._clock() >= self._stale_at(seen.at) else seen.report

    def queues(self) -> dict[str, Queue]:
        """The queues that endpoints have just told of, by name; those without one are left out."""
        told = ((endpoint.name, self.report(endpoint.name)) for endpoint in self._asked)
        return {name: Queue(said.running or 0, said.waiting) for name, said in told if said and said.waiting}

    def stale(self) -> frozenset[str]:
        """Those that should report and do not: for metrics."""
        return frozenset(endpoint.name for endpoint in self._asked if self.report(endpoint.name) is None)

    def heard(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Takes the rates from the headers of an answer; names in lower case."""
        said = remaining(headers, self._clock())
        if said is not None:
            self._book.correct(endpoint, said)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Scrapes for as long as the block lasts."""
        async with background(self._scrape()):
            yield

    async def look(self) -> None:
        """Asks every endpoint once."""
        before = await self._book.held()
        async with asyncio.TaskGroup() as group:
            asked = {endpoint: group.create_task(self._ask(endpoint)) for endpoint in self._asked}
        after, now = await self._book.held(), self._clock()
        for endpoint, task in asked.items():
            report = task.result()
            if report is None:
                continue
            self._seen[endpoint.name] = Seen(report, now)
            # A query may have come or gone while the endpoint was asked: the larger count is surely ours.
            ours = max(before.get(endpoint.name, 0), after.get(endpoint.name, 0))
            others = foreign(report, ours, endpoint.capacity, self._stale_at(now))
            self._book.correct(endpoint.name, others if self._book.shared else Foreign())

    async def _scrape(self) -> None:
        while self._asked:
            await self.look()
            await asyncio.sleep(self._interval_s * (1.0 + JITTER * (2.0 * self._draw() - 1.0)))

    async def _ask(self, endpoint: Endpoint) -> Report | None:
        from gateway.load.scraping import scrape  # noqa: PLC0415 - httpx, only where somebody is asked

        return None if self._client is None else await scrape(self._client, endpoint, self._interval_s)

    def _stale_at(self, at: float) -> float:
        return at + STALE_AFTER * self._interval_s
