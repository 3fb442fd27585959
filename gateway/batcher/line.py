"""The line: the only owner of queries that wait, for company, for a decision or for room."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.core.decision import Decision
    from gateway.core.window import Window
    from gateway.domain import Query
    from gateway.errors import NoHeadroomError

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Waiter(Generic[T]):
    """A query that waits for its T."""

    decision: Decision
    excluded: tuple[int, ...]  # endpoints that failed it already
    placed: asyncio.Future[T]
    review_at: float = inf  # when it is to be decided again, should nothing happen before

    @property
    def query(self) -> Query:
        return self.decision.query


class Line(Generic[T]):
    """Queries in the order of their priority, then of their arrival.

    Args:
        window: when a batch is due.
        max_size: how many may wait.
        refusal: the error for a query whose time ran out here, or that finds the line full.
        now: seconds, on the scale of the loop's clock.
    """

    def __init__(
        self,
        window: Window,
        max_size: int,
        *,
        refusal: Callable[[Query, str], NoHeadroomError],
        now: Callable[[], float],
    ) -> None:
        self._window = window
        self._max_size = max_size
        self._refusal = refusal
        self._waiting: dict[str, Waiter[T]] = {}
        self._stirred = asyncio.Event()  # somebody came, or room may have come
        self._crowded = asyncio.Event()  # a whole batch is waiting
        self._held = asyncio.Event()  # somebody has been looked at and waits for room
        self._now = now

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiter[T]]:
        return iter(self._waiting.values())

    def join(self, decision: Decision, excluded: tuple[int, ...]) -> Waiter[T]:
        """Stands in line.

        Raises:
            NoHeadroomError: too many are waiting already.
        """
        if len(self) >= self._max_size:
            raise self._refusal(decision.query, f"{len(self)} queries are waiting already")
        placed: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = Waiter(decision, excluded, placed)
        self._waiting[decision.query.id] = waiter
        self.stir()
        if len(self) >= self._window.max_size:
            self._crowded.set()
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """Harmless when it has left already."""
        self._waiting.pop(waiter.query.id, None)

    def stir(self) -> None:
        """Something has changed: it is worth deciding again."""
        self._stirred.set()

    def take(self) -> list[Waiter[T]]:
        """The next batch. Its members stay in line until they leave."""
        ready = [waiter for waiter in self if not waiter.placed.done()]
        ready.sort(key=lambda waiter: -waiter.query.preferences.priority)  # stable: then by arrival
        self._window.seal(self._now())
        return ready[: self._window.max_size]

    def settle(self, held: int) -> None:
        """The batch was decided, and this many of it found no room."""
        self._window.settle(held)
        if held:
            self._held.set()
        else:
            self._held.clear()

    async def someone_held(self) -> None:
        """Returns while somebody waits for room."""
        await self._held.wait()

    async def until_due(self, alarm: Callable[[float], float]) -> None:
        """Returns when there may be something to decide. Whoever's time has run out is told so.

        `alarm` gives, at a time, when something outside changes by itself.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_alarm(alarm)):
                await self._stirred.wait()
        self._stirred.clear()
        self._refuse_late()
        self._crowded.clear()
        due = self._window.due_at(self._now(), len(self))
        if due > self._now():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._crowded.wait()

    def _next_alarm(self, alarm: Callable[[float], float]) -> float | None:
        if not self._waiting:
            return None
        own = min(min(waiter.query.deadline_at, waiter.review_at) for waiter in self)
        soonest = min(own, alarm(self._now()))
        return None if soonest == inf else soonest

    def _refuse_late(self) -> None:
        now = self._now()
        for waiter in self:
            if waiter.query.deadline_at <= now and not waiter.placed.done():
                reason = f"no room for {now - waiter.query.arrived_at:.1f} s"
                waiter.placed.set_exception(self._refusal(waiter.query, reason))
