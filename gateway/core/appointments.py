"""When those who were sent away were told to come back: one after another, as places come free.

Were each told when the next place comes free, all would come for the same one, and all but one in vain. So each is told
a time of its own, as far behind the one before as it takes to free a place. Others come too, without having been told
to, and take some of these places: the share of all who come that finds one stretches the distance.
"""

from __future__ import annotations

from typing import Final

LONGEST_S: Final = 60.0  # OpenAI's clients come back by a rule of their own, and sooner, when told a longer time
NEWEST: Final = 0.002  # weight of the newest arrival in the share: about the last 500
LEAST_SHARE: Final = 0.2  # a crowd that comes in one moment says little of those who come later
MANY: Final = 256  # groups remembered before those whose times have passed are dropped


class Appointments:
    """For queries that may go to the same models, by priority: the higher is not kept waiting by the lower.

    Times are seconds of one clock.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, ...], dict[int, float]] = {}  # the first time that nobody was told, by priority
        self._share = 1.0  # of the last who came, those who were not sent away

    def __len__(self) -> int:
        """Groups that are remembered."""
        return len(self._next)

    def came(self, *, admitted: bool) -> None:
        """Somebody came, and found a place to wait or did not."""
        self._share += NEWEST * (admitted - self._share)

    def give(self, models: tuple[str, ...], priority: int, *, soonest: float, between: float, now: float) -> float:
        """Seconds after which to come back; nobody else was told that time.

        Args:
            models: that it may go to.
            priority: of its class.
            soonest: seconds until a place is free for it, if all who were told to come did not.
            between: seconds between two places that come free.
            now: the time.
        """
        taken = self._next.setdefault(models, {})
        at = max([now + soonest, *(until for other, until in taken.items() if other >= priority)])
        if at - now > LONGEST_S:
            return LONGEST_S
        taken[priority] = at + between / max(LEAST_SHARE, self._share)
        if len(self._next) > MANY:
            self._next = {
                group: times for group, times in self._next.items() if any(until > now for until in times.values())
            }
        return at - now

    def clear(self) -> None:
        """There is room: whoever comes earlier than told will find it, too."""
        self._next.clear()
