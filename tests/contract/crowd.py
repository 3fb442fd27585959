"""Queries that misbehave in every way, and a count of who is inside."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from gateway.load.base import Claim
from gateway.load.reservation import reserve

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from gateway.load.base import LoadBook


class Crowd:
    """Each query takes several slots, and fails, ends or is cancelled at any step."""

    def __init__(self, book: LoadBook, limits: Mapping[str, int], rng: random.Random) -> None:
        self.book = book
        self.limits = limits
        self.rng = rng
        self.inside = dict.fromkeys(limits, 0)

    async def query(self, name: int) -> None:
        rng = self.rng
        claims = [Claim(f"{name}/{i}", rng.choice("ab"), rng.randrange(50)) for i in range(rng.randrange(1, 4))]
        with suppress(ConnectionResetError):
            async with AsyncExitStack() as stack:
                for held in await reserve(self.book, claims):
                    if held is not None:
                        await stack.enter_async_context(held)
                        stack.enter_context(self.counted(held.endpoint))
                        held.settle(rng.randrange(100))
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
                if rng.random() < 0.2:
                    raise ConnectionResetError
        await self.book.release(rng.choice(claims).lease_id)

    @contextmanager
    def counted(self, endpoint: str) -> Iterator[None]:
        self.inside[endpoint] += 1
        try:
            assert self.inside[endpoint] <= self.limits[endpoint]
            yield
        finally:
            self.inside[endpoint] -= 1
