"""The writer: bounded, patient with its database, and never in a query's way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.errors import LogUnavailableError
from gateway.feedback.row import Ended, Mark
from gateway.feedback.store import Store
from gateway.feedback.writer import TRIES, Keep, Writer
from tests.feedback.decisions import FLEET, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.feedback.row import Row


class Told:
    """Keeps what the writer says of itself."""

    def __init__(self) -> None:
        self.counts = {"written": 0, "dropped": 0, "failed": 0}
        self.left = 0
        self._change = asyncio.Event()

    def written(self, rows: int) -> None:
        self._count("written", rows)

    def dropped(self, rows: int) -> None:
        self._count("dropped", rows)

    def failed(self) -> None:
        self._count("failed", 1)

    def waiting(self, rows: int) -> None:
        self.left = rows

    async def until(self, reached: Callable[[dict[str, int]], bool]) -> None:
        while not reached(self.counts):
            self._change.clear()
            await self._change.wait()

    def _count(self, what: str, by: int) -> None:
        self.counts[what] += by
        self._change.set()


class BrokenStore(Store):
    """Takes nothing while it is broken."""

    broken = True

    def insert(self, rows: list[Row]) -> None:  # type: ignore[override] # narrower, and called with lists alone
        if self.broken:
            raise LogUnavailableError("the decision log: the disk is full")
        super().insert(rows)


@asynccontextmanager
async def writing(store: Store, told: Told, *, buffer: int = 100, rows: int = 1000) -> AsyncIterator[Writer]:
    keep = Keep(prompts=False, days=1, rows=rows, buffer=buffer)
    writer = Writer(store, keep, scores={"dec_scored": 0.25}.get, observer=told, wall=lambda: 100.0, pause_s=0.01)
    async with writer.running():
        yield writer


def ended(decision_id: str) -> Ended:
    decision = settled(decision_id)
    return Ended(decision, decision.query, FLEET, 100.0)


def ids(url: str) -> list[str]:
    store = Store(url)
    found = [each["id"] for each in store.rows()]
    store.close()
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.sqlite"


async def test_decisions_are_written_soon_and_in_order(url: str) -> None:
    told = Told()
    async with writing(Store(url), told) as writer:
        for number in range(5):
            writer.add(ended(f"dec_{number}"))
        await told.until(lambda counts: counts["written"] == 5)
        assert ids(url) == [f"dec_{number}" for number in range(5)]


async def test_what_waits_is_written_when_it_stops(url: str) -> None:
    async with writing(Store(url), Told()) as writer:
        writer.add(ended("dec_1"))
    assert ids(url) == ["dec_1"]


async def test_a_score_finds_a_decision_that_still_waits(url: str) -> None:
    async with writing(Store(url), Told()) as writer:
        writer.add(ended("dec_1"))
        assert await writer.mark(Mark("dec_1", 1.0, None, 100.0)) is None
        assert await writer.mark(Mark("dec_1", 0.0, None, 100.0)) == 1.0
        assert await writer.scored("dec_1") is not None
        assert await writer.story("dec_2") is None


async def test_a_score_that_came_before_the_decision_ended_goes_with_it(url: str) -> None:
    async with writing(Store(url), Told()) as writer:
        writer.add(ended("dec_scored"))
        assert await writer.mark(Mark("dec_scored", 1.0, None, 100.0)) == 0.25


async def test_what_finds_no_room_is_dropped_and_counted(url: str) -> None:
    told = Told()
    async with writing(Store(url), told, buffer=2) as writer:
        for number in range(5):
            writer.add(ended(f"dec_{number}"))
        assert told.counts["dropped"] == 3
    assert ids(url) == ["dec_0", "dec_1"]


async def test_the_newest_stay_when_there_are_too_many(url: str) -> None:
    async with writing(Store(url), Told(), rows=2) as writer:
        for number in range(5):
            writer.add(ended(f"dec_{number}"))
    assert ids(url) == ["dec_3", "dec_4"]


async def test_a_database_that_comes_back_gets_what_it_refused(url: str, caplog: pytest.LogCaptureFixture) -> None:
    told, store = Told(), BrokenStore(url)
    async with writing(store, told) as writer:
        writer.add(ended("dec_1"))
        await told.until(lambda counts: counts["failed"] == 2)
        store.broken = False
        await told.until(lambda counts: counts["written"] == 1)
    assert ids(url) == ["dec_1"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2  # once when it fails, once when it is back
    assert "the disk is full" in said[0]


async def test_a_batch_that_is_refused_for_good_gives_way(url: str) -> None:
    told = Told()
    async with writing(BrokenStore(url), told) as writer:
        writer.add(ended("dec_1"))
        await told.until(lambda counts: counts["dropped"] == 1)
    assert told.counts["failed"] == TRIES
