"""The log's writer: decisions and scores go into a bounded queue, and one thread takes them to the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gateway.errors import LogUnavailableError
from gateway.feedback.row import row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.feedback.later import LaterStore
    from gateway.feedback.row import Ended, Kept, Mark, Scored
    from gateway.feedback.store import Store

T = TypeVar("T")

FLUSH_S: Final = 0.25  # how long the first of a batch waits for others
AT_ONCE: Final = 512  # rows of one transaction
TRIES: Final = 4  # of a batch; then it is dropped, lest one bad row stop all others
PRUNE_EVERY: Final = 1_000  # rows written
ASK_S: Final = 5.0  # how long somebody who asks the log waits for it
SECONDS_PER_DAY: Final = 86_400

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Told how the log fares."""

    def written(self, rows: int) -> None: ...

    def dropped(self, rows: int) -> None: ...

    def waiting(self, rows: int) -> None: ...

    def failed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept, and for how long."""

    prompts: bool
    days: float
    rows: int
    buffer: int  # decisions that may wait to be written


class Writer:
    """Never blocks and never fails a query: what finds no room in the queue is dropped, and counted."""

    def __init__(
        self,
        store: Store | LaterStore,
        keep: Keep,
        *,
        scores: Callable[[str], float | None],
        observer: Observer,
        wall: Callable[[], float],
        pause_s: float = 1.0,
    ) -> None:
        self._store = store
        self._scores = scores
        self._keep = keep
        self._observer = observer
        self._wall = wall
        self._pause_s = pause_s  # after the first refusal; each further one doubles it
        self._queue: deque[Ended] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decision-log")
        self._due = asyncio.Event()
        self._since_pruned = PRUNE_EVERY  # the first batch looks
        self._healthy = True

    def add(self, ended: Ended) -> None:
        """A decision has been settled."""
        if len(self._queue) >= self._keep.buffer:
            self._observer.dropped(1)
            return
        self._queue.append(ended)
        if len(self._queue) == 1:
            asyncio.get_running_loop().call_later(FLUSH_S, self._due.set)
        elif len(self._queue) >= AT_ONCE:
            self._due.set()

    async def mark(self, mark: Mark) -> float | None:
        """As `Store.mark`. This and the next two first write what waits, so that nothing settled is overlooked.

        Raises:
            LogUnavailableError: the database did not answer, or not in time.
        """
        return await self._ask(lambda: self._store.mark(mark))

    async def story(self, decision_id: str) -> Kept | None:
        """As `Store.story`. Raises as `mark`."""
        return await self._ask(lambda: self._store.story(decision_id))

    async def scored(self, decision_id: str) -> Scored | None:
        """As `Store.scored`. Raises as `mark`."""
        return await self._ask(lambda: self._store.scored(decision_id))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Writes while the block is open, and at its end what is left."""
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write())
                yield
                writing.cancel()
            with suppress(LogUnavailableError):
                async with _in_time():
                    await self.flush()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._store.close()

    async def flush(self) -> None:
        """Tries once to write all that waits now."""
        batch = self._take()
        while batch and await self._try(batch):
            batch = self._take()
        self._queue.extendleft(reversed(batch))
        self._observer.waiting(len(self._queue))

    async def _write(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while batch := self._take():
                await self._persist(batch)
            self._observer.waiting(len(self._queue))

    async def _persist(self, batch: list[Ended]) -> None:
        """Writes a batch, with patience for a database that is away."""
        for tried in range(TRIES):
            if await self._try(batch):
                return
            self._observer.waiting(len(self._queue) + len(batch))
            await asyncio.sleep(self._pause_s * 2.0**tried)
        self._observer.dropped(len(batch))

    async def _try(self, batch: list[Ended]) -> bool:
        try:
            await self._on_thread(lambda: self._insert(batch))
        except LogUnavailableError as error:
            self._ails(error.message)
            return False
        except Exception:  # the log's boundary: whatever is wrong with it, queries go on
            log.exception("the decision log failed")
            self._ails("the decision log failed")
            return False
        if not self._healthy:
            log.warning("the decision log writes again")
        self._healthy = True
        self._observer.written(len(batch))
        return True

    def _ails(self, reason: str) -> None:
        """Counted each time, said once."""
        self._observer.failed()
        if self._healthy:
            log.warning("%s; until it writes again, decisions are kept in memory alone", reason)
        self._healthy = False

    def _insert(self, batch: list[Ended]) -> None:
        """On the thread. Between rows it lets go of the interpreter, so that the loop never waits for a whole batch."""
        rows = []
        for ended in batch:
            score = self._scores(ended.decision.query.id)
            rows.append(row(ended, score=score, prompts=self._keep.prompts))
            time.sleep(0)  # no wait: it only lets the loop have its turn
        self._store.insert(rows)
        self._since_pruned += len(rows)
        if self._since_pruned >= PRUNE_EVERY:
            self._since_pruned = 0
            self._store.prune(before=self._wall() - self._keep.days * SECONDS_PER_DAY, most=self._keep.rows)

    def _take(self) -> list[Ended]:
        return [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]

    async def _ask(self, question: Callable[[], T]) -> T:
        async with _in_time():
            await self.flush()
            return await self._on_thread(question)

    async def _on_thread(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """For as long as somebody would wait."""
    try:
        async with asyncio.timeout(ASK_S):
            yield
    except TimeoutError as error:
        raise LogUnavailableError("the decision log: the database is not answering") from error
