"""When a batch is sealed. A lone query is never delayed; only contention makes queries wait for each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(slots=True)
class Window:
    """The rule, and the two facts it needs of the last batch. Times are seconds of the caller's clock.

    While a batch is being decided the next one grows by itself, so a window only has to wait when the last batch left
    somebody without room: then a freed slot or a newcomer is worth little alone, and company makes the choice better.
    """

    max_wait: float  # seconds
    max_size: int  # queries
    contended: bool = False  # the last batch left somebody held
    sealed_at: float = -inf

    def due_at(self, now: float, waiting: int) -> float:
        """When the queries that are waiting now should be decided."""
        if not self.contended or waiting >= self.max_size:
            return now
        return max(now, self.sealed_at + self.max_wait)

    def seal(self, now: float) -> None:
        """A batch has been taken."""
        self.sealed_at = now

    def settle(self, held: int) -> None:
        """The batch was decided, and this many found no room."""
        self.contended = held > 0
