"""Who is being served by something, so that it ends when the last of them has left."""

from __future__ import annotations

import asyncio


class Presence:
    """Of one pipeline. `with` it somebody is there until the block ends; any number may be."""

    def __init__(self) -> None:
        self._present = 0
        self._left = asyncio.Event()

    def __enter__(self) -> None:
        self._present += 1

    def __exit__(self, *_: object) -> None:
        self._present -= 1
        if not self._present:
            self._left.set()

    async def emptied(self) -> None:
        """Returns once nobody is."""
        while self._present:
            self._left.clear()
            await self._left.wait()
