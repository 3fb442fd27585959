"""Whose turn it is: classes by priority, inside a class the keys in turn, and of one key whoever is due first.

Start-time fair queueing (Goyal, Vin and Cheng, 1996) with one unit for each query: a key's next query starts where its
last one ended, in a virtual time that is the start of the newest query served. Of two keys that wait all the time
neither gets more than one query ahead. A key that took less than its share is up to CREDIT queries ahead of one that
takes all it can get, so a small burst of it is not made to wait for the greedy one; it saves up no more than that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from math import ceil
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

T = TypeVar("T", bound="Hashable")

CREDIT = 16  # queries
FORGET = 64  # keys of a class without anyone waiting that are remembered beside as many as have someone


@dataclass(slots=True)
class Lane(Generic[T]):
    """Those of one key who wait, the first due in front. `start` is the virtual time at which the first one starts."""

    start: float
    waiting: list[tuple[float, int, T]] = field(default_factory=list)  # (due, number of arrival, who)


@dataclass(slots=True)
class Rank(Generic[T]):
    """One class. Its virtual time never goes back."""

    lanes: dict[str, Lane[T]] = field(default_factory=dict)
    virtual: float = 0.0
    size: int = 0

    def lane(self, key: str) -> Lane[T]:
        """The key's."""
        lane = self.lanes.setdefault(key, Lane(self.virtual - CREDIT))
        if not lane.waiting:
            lane.start = max(lane.start, self.virtual - CREDIT)
        return lane

    def served(self, lane: Lane[T]) -> None:
        """One of the lane has had its turn. Forgets keys that would start as a new one does."""
        self.virtual = max(self.virtual, lane.start)
        lane.start += 1
        if len(self.lanes) > 2 * self.size + FORGET:
            floor = self.virtual - CREDIT
            self.lanes = {key: each for key, each in self.lanes.items() if each.waiting or each.start > floor}

    def busy(self) -> Iterator[Lane[T]]:
        """Lanes that somebody stands in."""
        return (lane for lane in self.lanes.values() if lane.waiting)

    def in_turn(self) -> Iterator[T]:
        """Everybody, in order; of two whose turn comes at once, whoever is due first."""
        heap = [(lane.start, *lane.waiting[0][:2], 0, lane) for lane in self.busy()]
        heapify(heap)
        while heap:
            start, _, _, place, lane = heap[0]
            yield lane.waiting[place][2]
            if place + 1 < len(lane.waiting):
                heapreplace(heap, (start + 1, *lane.waiting[place + 1][:2], place + 1, lane))
            else:
                heappop(heap)


class Turns(Generic[T]):
    """Everybody who waits. Holds nothing for those who have left but the turns that their keys have had."""

    def __init__(self) -> None:
        self._ranks: dict[int, Rank[T]] = {}
        self._places: dict[T, tuple[int, str, tuple[float, int, T]]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, who: object) -> bool:
        return who in self._places

    def __iter__(self) -> Iterator[T]:
        """Everybody, in the order of arrival."""
        return iter(self._places)

    def join(self, who: T, *, priority: int, key: str, due: float) -> None:
        self._arrivals += 1
        rank = self._ranks.setdefault(priority, Rank())
        entry = (due, self._arrivals, who)
        insort(rank.lane(key).waiting, entry)
        rank.size += 1
        self._places[who] = (priority, key, entry)

    def leave(self, who: T, *, served: bool = False) -> None:
        """Harmless when it has left already. Who was served has had a turn of its key's."""
        found = self._places.pop(who, None)
        if found is None:
            return
        priority, key, entry = found
        rank = self._ranks[priority]
        lane = rank.lanes[key]
        del lane.waiting[bisect_left(lane.waiting, entry)]
        rank.size -= 1
        if served:
            rank.served(lane)
        if not rank.size:
            del self._ranks[priority]  # nobody waits, so nobody has to be weighed against anybody

    def in_turn(self) -> Iterator[T]:
        """Everybody, in the order of their turns. Nobody may join or leave meanwhile."""
        for priority in sorted(self._ranks, reverse=True):
            yield from self._ranks[priority].in_turn()

    def last(self) -> T:
        """Whose turn comes last. Raises ValueError when nobody waits."""
        rank = self._ranks[min(self._ranks)]
        hindmost = max(rank.busy(), key=lambda lane: (lane.start + len(lane.waiting), lane.waiting[-1][:2]))
        return hindmost.waiting[-1][2]

    def ahead(self, who: T) -> int:
        """How many surely come before: those of higher classes, and those of its own whose turn starts earlier."""
        priority, key, entry = self._places[who]
        higher = sum(rank.size for other, rank in self._ranks.items() if other > priority)
        lanes = self._ranks[priority].lanes
        place = bisect_left(lanes[key].waiting, entry)
        start = lanes[key].start + place
        others = (lane for name, lane in lanes.items() if name != key)
        return higher + place + sum(min(len(lane.waiting), max(0, ceil(start - lane.start))) for lane in others)
