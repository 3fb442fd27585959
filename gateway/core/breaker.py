"""Whether an endpoint may be tried. Reports go in with the time, a verdict comes out; nothing here touches the load.

    state      | served            | failed               | refused us           | limited              | time
    -----------+-------------------+----------------------+----------------------+----------------------+--------------
    CLOSED     | stays             | OPEN when too often  | OPEN, for long       | stays, cools down    |
    OPEN       | (not heard)       | (not heard)          | (not heard)          | (not heard)          | HALF_OPEN
    HALF_OPEN  | CLOSED, slow start| OPEN, twice as long  | OPEN, for long       | OPEN, until it says  |

A report is heard only of a query that was let through in the present state: what was sent before the endpoint fell
says nothing about how it is now. The same table serves a model with one endpoint.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

FOREVER = float("inf")


class State(StrEnum):
    CLOSED = "closed"  # well
    OPEN = "open"  # not to be tried
    HALF_OPEN = "half_open"  # one query may try it


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Seconds and counts."""

    in_a_row: int = 3  # failures without a success between them
    recent: int = 20  # outcomes remembered
    recent_share: float = 0.5  # of them failed, when at least half of `recent` are known
    open_s: float = 1.0  # the first time; doubles with every probe that fails
    open_most_s: float = 30.0
    refused_s: float = 60.0  # after our credentials were refused: only an operator mends that
    cool_s: float = 1.0  # after a 429 that does not say how long; doubles while they go on
    cool_most_s: float = 120.0  # however long it says
    probe_s: float = 60.0  # a probe that has not reported by then is given up
    slow_start_s: float = 10.0
    slow_start_from: float = 0.1  # share of the slots at its beginning


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to send one query; its report carries it back."""

    era: int  # grows with every change of state


class Breaker:
    """One endpoint's. Times are seconds of one clock."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._state = State.CLOSED
        self._leave = Pass(0)
        self._outcomes: deque[bool] = deque(maxlen=rules.recent)  # of this era; True is a failure
        self._until = 0.0  # end of OPEN, or of the present probe
        self._open_s = rules.open_s
        self._cool_until = 0.0
        self._cool_s = rules.cool_s
        self._well_since = -FOREVER

    def state(self, now: float) -> State:
        """As of this time."""
        if self._state is State.OPEN and now >= self._until:
            self._turn(State.HALF_OPEN)
            self._until = now  # no probe is out
        return self._state

    def allows(self, now: float) -> bool:
        """Whether `admit` would let a query through."""
        state = self.state(now)
        return now >= self._cool_until if state is State.CLOSED else state is State.HALF_OPEN and now >= self._until

    def admit(self, now: float) -> Pass | None:
        """Leave to send one query now. In HALF_OPEN it is the probe, and nobody else gets leave until it reports."""
        if not self.allows(now):
            return None
        if self._state is State.HALF_OPEN:
            self._turn(State.HALF_OPEN)  # a probe given up must not speak for this one
            self._until = now + self._rules.probe_s
        return self._leave

    def share(self, now: float) -> float:
        """Of its slots, how much may be used: 0 unless CLOSED, less than 1 in the slow start."""
        if not self.allows(now) or self._state is not State.CLOSED:
            return 0.0
        rules = self._rules
        grown = (now - self._well_since) / rules.slow_start_s
        return min(1.0, rules.slow_start_from + (1.0 - rules.slow_start_from) * grown)

    def wait(self, now: float) -> float:
        """Seconds until it may be tried: for an honest retry-after. 0 when it may now."""
        if self.allows(now):
            return 0.0
        return max(0.0, (self._cool_until if self._state is State.CLOSED else self._until) - now)

    def served(self, leave: Pass, now: float) -> None:
        """It answered, or refused with what is the client's own error."""
        if not self._heard(leave, now):
            return
        self._cool_s = self._rules.cool_s
        if self._state is State.HALF_OPEN:
            self._turn(State.CLOSED)
            self._well_since = now
        else:
            self._outcomes.append(False)
            if now - self._well_since > self._rules.slow_start_s:
                self._open_s = self._rules.open_s

    def failed(self, leave: Pass, now: float) -> None:
        """Refused, reset, 5xx, nonsense, or too slow."""
        if not self._heard(leave, now):
            return
        if self._state is State.HALF_OPEN:
            self._open(now, self._open_s)
            return
        self._outcomes.append(True)
        if self._too_often():
            self._open(now, self._open_s)

    def refused(self, leave: Pass, now: float) -> None:
        """It does not accept our credentials (401, 402, 403)."""
        if self._heard(leave, now):
            self._open(now, self._rules.refused_s)

    def limited(self, leave: Pass, now: float, retry_after: float | None = None) -> None:
        """429: well, but not now. `retry_after` is in seconds, None when it did not say."""
        if not self._heard(leave, now):
            return
        rules = self._rules
        pause = self._cool_s if retry_after is None else retry_after
        pause = min(max(0.0, pause), rules.cool_most_s)
        if self._state is State.HALF_OPEN:
            self._turn(State.OPEN)
            self._until = now + pause
            return
        if retry_after is None and now >= self._cool_until:  # one burst of them counts once
            self._cool_s = min(2 * self._cool_s, rules.cool_most_s)
        self._cool_until = max(self._cool_until, now + pause)

    def abandoned(self, leave: Pass, now: float) -> None:
        """The client left before it showed: the probe is free again."""
        if self._heard(leave, now) and self._state is State.HALF_OPEN:
            self._until = now

    def _heard(self, leave: Pass, now: float) -> bool:
        self.state(now)
        return leave.era == self._leave.era

    def _open(self, now: float, seconds: float) -> None:
        self._turn(State.OPEN)
        self._until = now + seconds
        self._open_s = min(2 * self._open_s, self._rules.open_most_s)

    def _turn(self, state: State) -> None:
        self._state = state
        self._leave = Pass(self._leave.era + 1)
        self._outcomes.clear()

    def _too_often(self) -> bool:
        rules = self._rules
        outcomes = list(self._outcomes)
        last, known = outcomes[-rules.in_a_row :], len(outcomes)
        if len(last) == rules.in_a_row and all(last):
            return True
        return 2 * known >= rules.recent and sum(outcomes) >= rules.recent_share * known
