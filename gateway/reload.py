"""Notices that the configuration is to be read again: SIGHUP, or one of its files is another than before."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from signal import SIGHUP
from typing import TYPE_CHECKING, Final

from gateway.load.background import background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

LOOK_S: Final = 1.0  # between two looks; a file counts as changed once it has kept still from one to the next

Stamp = tuple[int, int, int] | None  # when it was written, its size, which file it is; None: it cannot be seen


class Watch:
    """Looks at the time, size and number of files: an event of the kernel is not seen on every kind of mount.

    Args:
        paths: the files, as of now.
        changed: reads them again.
    """

    def __init__(self, paths: Callable[[], Sequence[Path]], changed: Callable[[], Awaitable[object]]) -> None:
        self._paths = paths
        self._changed = changed
        self._asked = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watches, and listens to SIGHUP, for as long as the block lasts."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(SIGHUP, self._asked.set)
        try:
            async with background(self._look(), self._answer()):
                yield
        finally:
            loop.remove_signal_handler(SIGHUP)

    async def _look(self) -> None:
        known: tuple[Stamp, ...] = ()  # not what is there now: that may be newer than what was read at the start
        before = known
        while True:
            await asyncio.sleep(LOOK_S)
            seen = await asyncio.to_thread(stamps, self._paths())
            if seen == before != known:
                known = seen
                self._asked.set()
            before = seen

    async def _answer(self) -> None:
        """One reading at a time; what is asked meanwhile is one more."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._changed()


def stamps(paths: Sequence[Path]) -> tuple[Stamp, ...]:
    return tuple(stamp(path) for path in paths)


def stamp(path: Path) -> Stamp:
    """Tells a file from what stood there before; links are followed, since some mounts swap them."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
