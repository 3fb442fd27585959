"""The task that talks to the shared book: one exchange at a time, and what to do when Redis does not answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from gateway.load.background import background
from gateway.load.exchange import KEEP, LEAVE, SCRIPT, WRITE, heard
from gateway.load.redis_link import LinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.load.exchange import Names
    from gateway.load.outbox import Outbox
    from gateway.load.redis_link import RedisLink

FIRST_RETRY_S, LAST_RETRY_S = 0.05, 0.5
TURNS = 2  # of the loop before an exchange: in one it reads what has come, in the next that asks for its slots
BLINK_S = 0.2  # so short an absence may have been our own, and the others never noticed
MOMENT_S = 1.0  # so long a replica gets by with what it holds; a machine that is short of CPU loses that much
SETTLE_S = LAST_RETRY_S + 0.1  # by then every other replica has tried again and written what it holds

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Told what happens to the shared view; for metrics."""

    def sharing(self, *, shared: bool) -> None:
        """The view became shared, or local."""

    def exchanged(self, seconds: float) -> None:
        """An exchange was answered."""

    def failed(self) -> None:
        """An exchange was not answered in time, or was refused."""


class Unobserved:
    """An observer that looks away."""

    def sharing(self, *, shared: bool) -> None: ...

    def exchanged(self, seconds: float) -> None: ...

    def failed(self) -> None: ...


class Courier:
    """Carries exchanges between an Outbox and Redis.

    While nothing is shared, no more than the leases held here is carried. After an outage, or when Redis has lost what
    it knew, they are written at once, and again after the time in which every other replica has written its own:
    only then is the shared view complete, and trusted. A blink, perhaps our own, needs no such wait.
    """

    def __init__(
        self,
        outbox: Outbox,
        names: Names,
        mouth: RedisLink,
        ear: RedisLink,
        *,
        lease_s: float,
        observer: Observer,
    ) -> None:
        self._outbox = outbox
        self._names = names
        self._mouth = mouth
        self._ear = ear
        self._lease_s = lease_s
        self._observer = observer
        self._turn = 0
        self._epoch = ""
        self._renewed = False  # whether the last answer came from a book that knew nothing of earlier ones
        self._write_due = False
        self._why: LinkError | None = None  # of the last failure
        self._listening: asyncio.Timeout | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Talks for as long as the block lasts, then takes this replica's leases out. Redis need not be there."""
        if await self._exchange(WRITE):
            self._share()
        else:
            self._observer.sharing(shared=False)
            log.warning("Redis does not answer (%s): this replica starts with its own view of the load", self._why)
        try:
            async with background(self._converse(), self._refresh(), self._listen()):
                yield
        finally:
            self._observer.sharing(shared=False)
            self._outbox.part()
            await self._exchange(LEAVE)
            await self._mouth.close()

    async def _converse(self) -> None:
        while True:
            if not self._outbox.shared:
                await self._return()
            await self._outbox.ready.wait()
            for _ in range(TURNS):
                await asyncio.sleep(0)
            self._outbox.ready.clear()
            sync, self._write_due = (WRITE if self._write_due else KEEP), False
            await self._exchange(sync)

    async def _refresh(self) -> None:
        """Leases end unless they are written again; twice in a row may fail."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            self._write_due = True
            self._outbox.ready.set()

    async def _return(self) -> None:
        loop = asyncio.get_running_loop()
        left_at, delay = loop.time(), FIRST_RETRY_S
        alone = loop.call_later(MOMENT_S, self._alone)
        while not await self._exchange(WRITE):
            await asyncio.sleep(delay)
            delay = min(2 * delay, LAST_RETRY_S)
        alone.cancel()
        away_s = loop.time() - left_at
        if self._renewed or away_s >= BLINK_S:
            await asyncio.sleep(SETTLE_S)
        log.info("Redis was away for %.2f s", away_s)
        self._share()
        self._write_due = True
        self._outbox.ready.set()

    async def _exchange(self, sync: int) -> bool:
        """One round trip. False: there was no answer, or Redis has lost what it knew."""
        draft = self._outbox.draft(sync)
        self._turn += 1
        ask = draft.ask
        ask.turn, ask.sync, ask.lease_ms, ask.epoch = self._turn, sync, int(self._lease_s * 1000), secrets.token_hex(8)
        keys, words = draft.sealed()
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            reply = heard(await self._mouth.run(SCRIPT, keys, words, self._names.channel))
        except LinkError as error:
            self._observer.failed()
            self._why = error
            self._lose()
            return False
        self._observer.exchanged(clock() - started)
        if self._outbox.shared and reply.epoch != self._epoch:
            self._epoch = ""
            self._why = LinkError("it has lost what it knew")
            self._lose()
            return False
        self._renewed, self._epoch = reply.epoch != self._epoch, reply.epoch
        self._outbox.hear(reply, renewed=self._renewed)
        return True

    async def _listen(self) -> None:
        while True:
            with suppress(LinkError, TimeoutError):
                async with (
                    asyncio.timeout(None) as self._listening,
                    aclosing(self._ear.listen(self._names.channel)) as ear,
                ):
                    async for said in ear:
                        self._outbox.announced(int(said) if said else None)
                        if not said:  # the book may be one that knows nothing of us
                            self._outbox.ready.set()
            self._listening = None
            await asyncio.sleep(LAST_RETRY_S)

    def _share(self) -> None:
        self._outbox.shared = True
        self._observer.sharing(shared=True)
        log.info("the load is shared through Redis")
        self._outbox.announced(None)
        if self._listening is not None:
            # The listener's own connection may hang on a server that is gone, and would never know.
            self._listening.reschedule(0)

    def _lose(self) -> None:
        if self._outbox.shared:
            self._observer.sharing(shared=False)
            log.info("Redis does not answer (%s): this replica goes by its own view of the load", self._why)
        self._outbox.part()

    def _alone(self) -> None:
        log.warning("Redis is away (%s): this replica takes its share of each capacity", self._why)
        self._outbox.alone()
