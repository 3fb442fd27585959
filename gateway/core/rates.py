"""Requests or tokens per minute, as a window that slides in slices.

A bucket that refills lets twice its size through in some minute. Here what was taken counts until its slice is wholly
older than a minute, so that no minute, wherever it begins, holds more than the limit.
"""

from __future__ import annotations

from collections import deque

MINUTE_S = 60.0
SLICE_S = 5.0  # room comes back at most this much late; a finer slice costs a longer sum in the shared book
SLICES = int(MINUTE_S / SLICE_S) + 1  # the one that is running, and those that a minute back may touch


def slice_at(now: float) -> int:
    """The number of the slice that the time (seconds) lies in."""
    return int(now // SLICE_S)


class RateWindow:
    """What was taken in the last minute. Time is handed in and must not run backwards."""

    __slots__ = ("_slices", "_total", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._slices: deque[list[int]] = deque()  # [number, taken], ascending
        self._total = 0

    def left(self, now: float) -> int:
        """What may still be taken at this time; never negative."""
        self._forget(slice_at(now))
        return max(0, self.limit - self._total)

    def take(self, amount: int, now: float) -> int:
        """Takes it whether or not it fits, and returns the slice that it was put down in, for `correct`."""
        number = slice_at(now)
        self._forget(number)
        if self._slices and self._slices[-1][0] == number:
            self._slices[-1][1] += amount
        else:
            self._slices.append([number, amount])
        self._total += amount
        return number

    def correct(self, number: int, difference: int) -> None:
        """Adds to what was taken in that slice, if it still counts; what is left of a slice is never negative."""
        for entry in self._slices:
            if entry[0] == number:
                difference = max(difference, -entry[1])
                entry[1] += difference
                self._total += difference

    def turns_in(self, now: float) -> float:
        """Seconds until something of what was taken no longer counts; infinite when nothing does."""
        self._forget(slice_at(now))
        if not self._slices:
            return float("inf")
        return (self._slices[0][0] + SLICES) * SLICE_S - now

    def room_in(self, amount: int, now: float) -> float:
        """Seconds until so much may be taken, if nothing else is; infinite when it is more than the limit."""
        self._forget(slice_at(now))
        missing = amount + self._total - self.limit
        if missing <= 0:
            return 0.0
        for number, taken in self._slices:
            missing -= taken
            if missing <= 0:
                return (number + SLICES) * SLICE_S - now
        return float("inf")

    def _forget(self, number: int) -> None:
        slices = self._slices
        while slices and slices[0][0] <= number - SLICES:
            self._total -= slices.popleft()[1]
