"""Which model called which tool, for all replicas: its result may come in at another one than its call went out."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Protocol, Self

from gateway.load.redis_link import LinkError, RedisLink, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.loops import Name

SCRIPT: Final = Script(files("gateway.load").joinpath("loops.lua").read_text(encoding="utf-8"))
KEPT_S: Final = 3600  # after its last use; a few hundred bytes each, so an hour of busy traffic is some MB
AWAY_S: Final = 1.0  # how long a Redis that did not answer is left alone


class SharedLoops(Protocol):
    """What replicas tell each other of tool loops. Neither call fails, or waits for long."""

    async def note(self, names: Sequence[Name], model: str) -> None: ...

    async def find(self, names: Sequence[Name]) -> str | None:
        """The model of the first name that is known."""


class RedisLoops:
    """In Redis or Valkey, each name by its hash and for KEPT_S. While Redis is away, nothing is told and nothing known.

    Works inside `async with`.
    """

    def __init__(self, url: str, prefix: str, budget_s: float, clock: Callable[[], float]) -> None:
        self._link = RedisLink(url, budget_s)
        self._budget_s = budget_s
        self._tag = f"{{{prefix}}}:loop:"
        self._clock = clock
        self._away_until = 0.0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._link.close()

    async def note(self, names: Sequence[Name], model: str) -> None:
        await self._ask(names, model)

    async def find(self, names: Sequence[Name]) -> str | None:
        return await self._ask(names, "") or None

    async def _ask(self, names: Sequence[Name], model: str) -> str:
        """What the script says; nothing where Redis does not answer in time, or lately did not."""
        if not names or self._clock() < self._away_until:
            return ""
        keys = [
            self._tag + blake2b("\0".join(name).encode(errors="replace"), digest_size=16).hexdigest() for name in names
        ]
        try:
            async with asyncio.timeout(self._budget_s), self._turn:
                said: bytes = await self._link.run(SCRIPT, keys, str(KEPT_S), model)
        except (LinkError, TimeoutError):
            self._away_until = self._clock() + AWAY_S
            return ""
        return said.decode()
