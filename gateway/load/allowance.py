"""What keys have used, and may still use. What an allowance book promises, and the one of a single process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.core.allowance import Tally, span_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.allowance import Left, Taken, Use, Verdict
    from gateway.domain import Key


class AllowanceBook(Protocol):
    """The only owner of what keys have used."""

    async def take(self, key: Key, use: Use) -> Verdict:
        """Takes all of it in one step, or nothing, against what all replicas have taken. Waits for a moment at most.

        Cancelled while it waits, it has taken nothing.
        """

    def correct(self, taken: Taken, used: Use) -> None:
        """Puts what was used in the place of what was taken, in the span in which it was. Never waits."""

    def left(self, key: Key) -> Left:
        """As far as is known here."""


class MemoryAllowances:
    """Kept in this process, and gone with it.

    Args:
        clock: seconds, never backwards.
        wall: seconds since the epoch, for the day and month of budgets.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._tallies: dict[str, Tally] = {}

    async def take(self, key: Key, use: Use) -> Verdict:
        return self._tally(key).take(use, self._clock(), span_of(key, self._wall()))

    def correct(self, taken: Taken, used: Use) -> None:
        self._tallies[taken.key].correct(taken, used)

    def left(self, key: Key) -> Left:
        return self._tally(key).left(self._clock(), span_of(key, self._wall()))

    def _tally(self, key: Key) -> Tally:
        return tally_of(self._tallies, key)


def tally_of(tallies: dict[str, Tally], key: Key) -> Tally:
    """The key's, with the limits that it has now."""
    tally = tallies.get(key.name)
    if tally is None:
        tally = tallies[key.name] = Tally(key)
    elif tally.key is not key:
        tally.limit(key)
    return tally
