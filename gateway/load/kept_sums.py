"""The sums of a single process, kept in a small file: a promise goes on after a restart where it stood."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.load.background import background
from gateway.load.sums import MemorySums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

INTERVAL_S: Final = 5.0  # between two writes; what a kill loses is this much of some 2,000 queries' memory
VERSION: Final = 1

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The file: JSON has no infinities, so whatever is read is finite."""

    version: int
    sums: dict[str, dict[str, float]]


class KeptSums(MemorySums):
    """Read when `running` begins; written there when they have changed, and when it ends.

    A file that cannot be read or written is no reason not to serve: the log says so, and the sums live in memory.

    Args:
        path: written beside and renamed, so that it is whole at any moment.
        interval_s: between two writes.
    """

    def __init__(self, path: Path, *, interval_s: float = INTERVAL_S) -> None:
        super().__init__()
        self._path = path
        self._interval_s = interval_s
        self._changed = False
        self._complained = False

    async def add(self, key: str, delta: Mapping[str, float]) -> None:
        await super().add(key, delta)
        self._changed = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the file for as long as the block lasts."""
        self.restore(await asyncio.to_thread(self._read))
        try:
            async with background(self._keep()):
                yield
        finally:
            self._write()  # here, not on a thread: whoever is being stopped may not wait for one

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._write()

    def _read(self) -> dict[str, dict[str, float]]:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("the promises begin anew: %s cannot be read: %s", self._path, error)
            return {}
        if kept.version != VERSION:
            log.warning("the promises begin anew: %s has version %d, not %d", self._path, kept.version, VERSION)
            return {}
        return kept.sums

    def _write(self) -> None:
        """A few hundred bytes: less than a millisecond."""
        if not self._changed:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_bytes(msgspec.json.encode(Kept(VERSION, self.all())))
            beside.replace(self._path)
        except OSError as error:
            if not self._complained:
                log.warning("a restart will forget the promises: %s cannot be written: %s", self._path, error)
            self._complained = True
        else:
            self._changed = self._complained = False
