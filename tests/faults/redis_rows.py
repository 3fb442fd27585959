"""What can happen to the Redis that replicas share. test_redis.py plays them."""

from __future__ import annotations

from dataclasses import dataclass

QUERIES, STREAM = "while queries come", "while a stream runs"
SAW = "the whole answer, each time"


@dataclass(frozen=True)
class Row:
    """One fault in one phase."""

    fault: str
    phase: str
    quick: bool = False


FAULTS = (
    "is killed, and started again empty",
    "is paused (SIGSTOP)",
    "answers 200 ms late",
    "is full (maxmemory)",
    "is flushed",
    "is restarted at once",
    "fails over: its replica is promoted",
)
FORWARD, BACK = "has its clock put forward by an hour", "has its clock put back by an hour"
ROWS = [Row(fault, phase) for fault in FAULTS for phase in (QUERIES, STREAM)]
JUMPS = [Row(fault, phase) for fault in (FORWARD, BACK) for phase in (QUERIES, STREAM)]  # test_clocks.py plays them
