"""Sums that replicas share. Each keeps a view of its own, right at once for what it adds, and for all others' soon."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gateway.load.background import background
from gateway.load.redis_link import LinkError, RedisLink, Script
from gateway.load.sums import MEMORY_QUERIES, Sums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SCRIPT = Script(files("gateway.load").joinpath("sums.lua").read_text(encoding="utf-8"))
RETRY_S = 0.5


class RedisSums:
    """Adds are gathered per key and sent by one task; what comes up during a round trip travels with the next.

    While Redis is away the view goes on from what was last seen. A delta whose answer was lost is sent again: at worst
    it counts twice, in every field alike.
    """

    def __init__(self, url: str, prefix: str, budget_s: float) -> None:
        self._link = RedisLink(url, budget_s)
        self._budget_s = budget_s
        self._tag = f"{{{prefix}}}:sums:"
        self._views: dict[str, Sums] = {}
        self._pending: dict[str, Sums] = {}
        self._ready = asyncio.Event()
        self._sending = asyncio.Lock()
        self._first: dict[str, asyncio.Event] = {}  # set once the key's sums were asked for

    async def add(self, key: str, delta: Mapping[str, float]) -> None:
        self._views.setdefault(key, Sums()).add(delta)
        self._pending.setdefault(key, Sums()).add(delta)
        self._ready.set()

    async def read(self, key: str) -> Mapping[str, float]:
        if key not in self._first:
            await self._ask(key)
        view = self._views.get(key)
        return {} if view is None else dict(view.fields)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sends for as long as the block lasts, and what is left at its end."""
        try:
            async with background(self._send()):
                try:
                    yield
                finally:
                    async with self._sending:
                        pass  # what is on its way arrives: sent again, it would count twice
        finally:
            await self._flush()
            await self._link.close()

    async def _ask(self, key: str) -> None:
        """Has an empty delta sent, since its answer is the sums; a query does not wait for long."""
        asked = self._first[key] = asyncio.Event()
        self._pending.setdefault(key, Sums())
        self._ready.set()
        try:
            async with asyncio.timeout(2 * self._budget_s):
                await asked.wait()
        except TimeoutError:
            return  # the view follows when Redis does

    async def _send(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            async with self._sending:
                sent = await self._flush()
            if not sent:
                await asyncio.sleep(RETRY_S)
                self._ready.set()

    async def _flush(self) -> bool:
        """Sends all that is pending; whether it was answered."""
        while self._pending:
            key, sums = self._pending.popitem()
            words = [str(sums.queries), str(MEMORY_QUERIES)]
            for field, amount in sums.fields.items():
                words += (field, repr(amount))
            try:
                reply = await self._link.run(SCRIPT, [self._tag + key], *words)
            except (LinkError, asyncio.CancelledError) as error:
                self._keep(key, sums)
                if isinstance(error, LinkError):
                    return False
                raise
            self._see(key, reply)
        return True

    def _keep(self, key: str, sums: Sums) -> None:
        """Puts an unsent delta back, under what came up meanwhile."""
        later = self._pending.get(key, Sums())
        sums.add(later.fields, later.queries)
        self._pending[key] = sums

    def _see(self, key: str, reply: list[Any]) -> None:
        view = Sums()
        view.fields = {reply[i].decode(): float(reply[i + 1]) for i in range(0, len(reply), 2)}
        later = self._pending.get(key)
        if later is not None:
            view.add(later.fields, later.queries)
        self._views[key] = view
        self._first.setdefault(key, asyncio.Event()).set()
