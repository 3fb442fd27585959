"""One JSON line for each decision that has ended, written by a thread of its own. No prompt and no secret is in it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from gateway.core.decision import Decision

BUFFER: Final = 10_000  # lines that may wait for a slow reader; the next ones are left out
PLACES: Final = 9  # of a printed number


class Telling:
    """Lines go to a stream, by default standard output. A reader that stops reading holds up nobody else."""

    def __init__(self, wall: Callable[[], float], stream: TextIO | None = None) -> None:
        self._wall = wall
        self._stream = stream or sys.stdout
        self._waiting: Queue[Decision | None] = Queue(BUFFER)
        self._left_out = 0

    def tell(self, decision: Decision) -> None:
        """A query has been settled."""
        try:
            self._waiting.put_nowait(decision)
        except Full:
            self._left_out += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Writes while the block is open, and at its end what is left."""
        thread = Thread(target=self._write, name="decision-lines", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._waiting.put(None)
            thread.join()

    def _write(self) -> None:
        while (decision := self._waiting.get()) is not None:
            self._stream.write(line(decision, at=self._wall(), left_out=self._left_out) + "\n")
            self._left_out = 0
            self._stream.flush()


def line(decision: Decision, *, at: float, left_out: int = 0) -> str:
    """The line of a settled decision; `at` is in seconds since the epoch. What is not known is left out."""
    query, usage = decision.query, decision.usage
    told = {
        "event": "decision",
        "at": at,
        "id": query.id,
        "key": query.key or None,
        "target": query.target,
        "model": decision.model or None,
        "endpoint": decision.endpoint or None,
        "outcome": decision.outcome.value if decision.outcome else None,
        "predicted_quality": decision.expected.quality if decision.model else None,
        "predicted_cost_usd": decision.expected.cost_usd if decision.model else None,
        "cost_usd": decision.cost_usd,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "first_byte_s": decision.first_byte_s,
        "total_s": decision.total_s,
        "overhead_ms": decision.watch.total * 1000,
        "attempts": [f"{each.endpoint} {each.result}" for each in decision.attempts] or None,
        "left_out": left_out or None,
    }
    kept = {name: value for name, value in told.items() if value is not None}
    return json.dumps({name: round(each, PLACES) if isinstance(each, float) else each for name, each in kept.items()})
