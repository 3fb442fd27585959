"""The line: the only owner of queries that wait, for company, for a decision or for room."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gateway.core.turns import Turns

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
    looked_at: bool = False  # a batch has had it

    @property
    def query(self) -> Query:
        return self.decision.query


class Prospects(Protocol):
    """What may be said to those for whom there is no room."""

    def hopeless(self, query: Query, ahead: int) -> bool:
        """Whether it surely runs out of time behind so many who want the same endpoints."""

    def refusal(self, query: Query, ahead: int, reason: str) -> NoHeadroomError:
        """The error for one who has to go, with when it is worth coming back behind so many."""


class Line(Generic[T]):
    """Queries in the order of their turns: by priority, in turn between keys, of one key whoever is due first.

    Args:
        window: when a batch is due.
        max_size: how many may wait. In a full line whose turn comes last makes room for whoever comes before.
        prospects: what to say to those who cannot wait.
        now: seconds, on the scale of the loop's clock.
    """

    def __init__(
        self,
        window: Window,
        max_size: int,
        *,
        prospects: Prospects,
        now: Callable[[], float],
    ) -> None:
        self._window = window
        self._max_size = max_size
        self._prospects = prospects
        self._turns: Turns[Waiter[T]] = Turns()
        self._wanted: Counter[tuple[str, ...]] = Counter()  # how many may go to just these models
        self._stirred = asyncio.Event()  # somebody came, or room may have come
        self._crowded = asyncio.Event()  # a whole batch is waiting, or room may have come
        self._held = asyncio.Event()  # somebody has been looked at and waits for room
        self._roomy = False  # room may have come since the last batch
        self._now = now

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Waiter[T]]:
        return iter(self._turns)

    def join(self, decision: Decision, excluded: tuple[int, ...]) -> Waiter[T]:
        """Stands in line. Whoever failed elsewhere waited once already: it comes first of its key's, however many wait.

        Raises:
            NoHeadroomError: too many whose turn comes before are waiting already.
        """
        placed: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter, query = Waiter(decision, excluded, placed), decision.query
        again = bool(decision.attempts)
        due = query.arrived_at if again else query.deadline_at
        self._turns.join(waiter, priority=query.preferences.priority, key=query.key, due=due)
        self._wanted[query.models] += 1
        waiting = len(self) - 1
        if waiting >= self._max_size and not again:
            self._send_away(self._turns.last(), f"{waiting} queries are waiting already")
        elif waiting and not again and self._window.contended and self._prospects.hopeless(query, self._rivals(waiter)):
            self._send_away(waiter, "too many wait for it to be placed in its time")
        if placed.done():
            placed.result()
        self.stir()
        if len(self) >= self._window.max_size:
            self._crowded.set()
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """Harmless when it has left already. Whoever failed elsewhere and is placed again has had its turn."""
        if waiter not in self._turns:
            return
        placed = waiter.placed
        served = placed.done() and not placed.cancelled() and placed.exception() is None
        self._turns.leave(waiter, served=served and not waiter.decision.attempts)
        self._wanted[waiter.query.models] -= 1
        if not self._wanted[waiter.query.models]:
            del self._wanted[waiter.query.models]

    def _send_away(self, waiter: Waiter[T], reason: str) -> None:
        refusal = self._prospects.refusal(waiter.query, self._rivals(waiter), reason)
        self.leave(waiter)
        if not waiter.placed.done():
            waiter.placed.set_exception(refusal)

    def _rivals(self, waiter: Waiter[T]) -> int:
        """How many surely come before it and can go nowhere but where it can."""
        mine = set(waiter.query.models)
        others = sum(count for models, count in self._wanted.items() if not mine.issuperset(models))
        return max(0, self._turns.ahead(waiter) - others)

    def stir(self) -> None:
        """Something has changed: it is worth deciding again."""
        self._stirred.set()

    def room(self) -> None:
        """Room may have come: those who wait are company enough, and every moment in which it stays free is lost."""
        self._roomy = True
        self._crowded.set()
        self.stir()

    def take(self) -> list[Waiter[T]]:
        """The next batch. Its members stay in line until they leave."""
        ready = (waiter for waiter in self._turns.in_turn() if not waiter.placed.done())
        self._window.seal(self._now())
        self._roomy = False
        batch = list(islice(ready, self._window.max_size))
        for waiter in batch:
            waiter.looked_at = True
        return batch

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
        soonest = self._next_alarm(alarm)
        if soonest is None:
            await self._stirred.wait()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(soonest):
                    await self._stirred.wait()
        self._stirred.clear()
        self._refuse_late()
        self._crowded.clear()
        due = self._window.due_at(self._now(), len(self))
        if due > self._now() and not self._roomy:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._crowded.wait()

    def _next_alarm(self, alarm: Callable[[float], float]) -> float | None:
        times = [min(waiter.query.deadline_at, waiter.review_at) for waiter in self if not waiter.placed.done()]
        if not times:  # whoever has been told is about to leave: a timer for it would cost more than all the rest here
            return None
        soonest = min(*times, alarm(self._now()))
        return None if soonest == inf else soonest

    def _refuse_late(self) -> None:
        now = self._now()
        late = [waiter for waiter in self if self._is_late(waiter, now) and not waiter.placed.done()]
        for waiter in late:
            self._send_away(waiter, f"no room for {now - waiter.query.arrived_at:.1f} s")

    @staticmethod
    def _is_late(waiter: Waiter[T], now: float) -> bool:
        """Whoever may not wait at all is looked at once before: there may be room."""
        query = waiter.query
        return query.deadline_at <= now and (waiter.looked_at or query.deadline_at > query.arrived_at)
