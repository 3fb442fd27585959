"""The run itself: a heap of answers that end, a line of queries that wait, a decision when there is one to take."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.problem import HELD
from gateway.lab.methods.file import place
from gateway.lab.simulate.fleet import service_seconds

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Method, Offer
    from gateway.lab.simulate.fleet import Fleet

WINDOW_S: Final = 0.010  # under contention a batch gathers for so long, as the gateway's window does
BUSY_S: Final = 0.002  # a decision under way: what comes meanwhile is the next batch
MOST_AT_ONCE: Final = 64
SOLVER_S: Final = 0.020  # of a batch with a quality row
IMPATIENCE: Final = 1e-2  # USD per second waited that leaving a query without room costs more: first come, first served
PATIENCE_S: Final = 30.0  # a query that found no room until then is shed


@dataclass(frozen=True, slots=True)
class Work:
    """N queries: when they come, and what each model would make of them in tokens.

    Args:
        arrival: (N,) seconds, ascending.
        input_tokens, output_tokens: (N, M).
    """

    arrival: Floats
    input_tokens: Floats
    output_tokens: Floats


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of N queries.

    Args:
        choice: (N,) model, HELD where the query was shed.
        started, finished: (N,) seconds, NaN where shed.
        decision_s: (D,) real seconds of each decision.
        decided: (D,) queries in it.
        gain_usd: what solving batches as one saved against placing their queries one by one; 0 for other methods.
    """

    choice: Ints
    started: Floats
    finished: Floats
    decision_s: Floats
    decided: Ints
    gain_usd: float


class Engine:
    """One run. Time is the arrivals' own; nothing waits for a real clock."""

    def __init__(self, fleet: Fleet, work: Work, method: Method) -> None:
        self._fleet, self._work, self._method = fleet, work, method
        models = work.output_tokens.shape[1]
        self._free = np.full(len(fleet.model), fleet.slots, dtype=np.int64)  # (E,)
        self._open = np.bincount(fleet.model, minlength=models) * fleet.slots  # (M,) free slots
        self._ends: list[tuple[float, int]] = []  # heap of (second, endpoint)
        self._line: deque[int] = deque()  # in order of arrival
        self._stuck = False  # the last decision placed nobody
        count = len(work.arrival)
        self._choice = np.full(count, HELD, dtype=np.int64)
        self._started = np.full(count, np.nan)
        self._finished = np.full(count, np.nan)
        self._decisions: list[tuple[float, int]] = []
        self._gain_usd = 0.0

    def run(self) -> Ran:
        """From the first arrival to the last answer."""
        arrival = self._work.arrival.tolist()
        upcoming, last = 0, -np.inf
        while upcoming < len(arrival) or self._line:
            now = arrival[upcoming] if upcoming < len(arrival) else np.inf
            due = self._due(last)
            if due <= now and due < np.inf:
                self._release(due)
                self._decide(due)
                last = due
                continue
            if now == np.inf:
                self._shed(np.inf)
                continue
            self._release(now)
            self._line.append(upcoming)
            upcoming += 1
        decision_s, decided = zip(*self._decisions, strict=True) if self._decisions else ((), ())
        return Ran(
            self._choice,
            self._started,
            self._finished,
            np.array(decision_s, dtype=np.float64),
            np.array(decided, dtype=np.int64),
            self._gain_usd,
        )

    def _due(self, last: float) -> float:
        """When the line is decided next: at once with room everywhere or a full batch, else a window after the last."""
        if not self._line:
            return np.inf
        came = float(self._work.arrival[self._line[-1]])
        if not self._open.any():
            return max(came, last + WINDOW_S, self._ends[0][0]) if self._ends else np.inf
        ready = self._open.all() or len(self._line) >= MOST_AT_ONCE
        return max(came, last + (BUSY_S if ready and not self._stuck else WINDOW_S))

    def _release(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, endpoint = heappop(self._ends)
            self._free[endpoint] += 1
            self._open[self._fleet.model[endpoint]] += 1

    def _decide(self, now: float) -> None:
        self._shed(now)
        if not self._line or not self._open.any():
            return
        rows = np.array([self._line.popleft() for _ in range(min(len(self._line), MOST_AT_ONCE))], dtype=np.int64)
        urgency = (now - self._work.arrival[rows]) * IMPATIENCE
        began = perf_counter()
        placed = place(self._apart(self._method.offer(rows)), self._free, urgency, budget_s=SOLVER_S)
        self._decisions.append((perf_counter() - began, len(rows)))
        self._gain_usd += placed.gain_usd
        found = placed.choice != HELD
        for row, endpoint in zip(rows[found].tolist(), placed.choice[found].tolist(), strict=True):
            self._start(row, endpoint, now)
        self._stuck = not found.any()
        if not self._stuck:
            self._method.placed(rows[found], self._choice[rows[found]], displaced=placed.displaced)
        self._line.extendleft(reversed(rows[~found].tolist()))

    def _apart(self, offer: Offer) -> Offer:
        """The same with a column for each endpoint, as the gateway decides."""
        columns = self._fleet.model
        quality = None if offer.quality is None else offer.quality[:, columns]
        return replace(offer, score=offer.score[:, columns], quality=quality)

    def _start(self, row: int, endpoint: int, now: float) -> None:
        model = int(self._fleet.model[endpoint])
        running = self._fleet.slots - int(self._free[endpoint])
        self._free[endpoint] -= 1
        self._open[model] -= 1
        work = self._work
        end = now + float(service_seconds(work.input_tokens[row, model], work.output_tokens[row, model], running))
        heappush(self._ends, (end, endpoint))
        self._choice[row], self._started[row], self._finished[row] = model, now, end

    def _shed(self, now: float) -> None:
        while self._line and now - self._work.arrival[self._line[0]] > PATIENCE_S:
            self._line.popleft()
