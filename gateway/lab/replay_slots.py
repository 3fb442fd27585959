"""Room of one replayed model, and what became of everyone who asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS = ("in_flight", "taken", "served", "rejected", "left", "faulted")


@dataclass(slots=True)
class Slots:
    """Counts of one model. `limit` None: as many as come."""

    limit: int | None = None
    changed: Callable[[], None] = field(default=lambda: None)  # called after every change
    in_flight: int = 0
    peak: int = 0  # the most that were ever in flight together
    taken: int = 0
    served: int = 0  # answered to the last byte
    rejected: int = 0  # 429: no slot was free
    left: int = 0  # the client went before the end
    faulted: int = 0  # answered by a fault

    @property
    def free(self) -> bool:
        """Whether there is room for one more."""
        return self.limit is None or self.in_flight < self.limit

    def take(self) -> Slot | None:
        """One slot, or None when all are held; the rejection is then counted."""
        if not self.free:
            self.rejected += 1
            self.changed()
            return None
        self.in_flight += 1
        self.taken += 1
        self.peak = max(self.peak, self.in_flight)
        self.changed()
        return Slot(self)

    @property
    def counts(self) -> dict[str, Any]:
        """Every count by its name."""
        return {name: getattr(self, name) for name in ("limit", "peak", *COUNTS)}


@dataclass(slots=True)
class Slot:
    """A held slot. Freed by `free` or at the end of its `with` block, whichever comes first, and once."""

    _slots: Slots
    _held: bool = field(default=True)

    def free(self) -> None:
        if self._held:
            self._held = False
            self._slots.in_flight -= 1
            self._slots.changed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()
        self._slots.changed()  # the reply has been counted since
