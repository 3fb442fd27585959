"""What can happen to the gateway's own parts. test_processes.py and test_clocks.py play them."""

from __future__ import annotations

from dataclasses import dataclass

PREDICTOR, WORKER, SOLVER, CONFIG = "The predictor service", "A gateway", "The solver", "The configuration"
SLOW, DEAD, WRONG = "is slow", "is dead", "answers in a wrong shape"
KILLED, OVERTIME = "is killed (SIGKILL) while it holds leases", "is never in time"
FORWARD, BACK = "has its clock put forward by an hour", "has its clock put back by an hour"
BROKEN, DROPPED = "is changed to something that is none", "is changed, and an endpoint is in it no more"
QUERIES, STREAM = "while queries come", "in mid-stream"
PRIORS = "the whole answer, each time: priors decide"
WHOLE = "the whole answer, each time"
CLOSED = "a part of the answer, then APIConnectionError"


@dataclass(frozen=True)
class Row:
    """One fault of one part."""

    group: str
    fault: str
    phase: str
    saw: str
    lost: str = "nothing"


ROWS = [
    Row(PREDICTOR, SLOW, QUERIES, PRIORS),
    Row(PREDICTOR, DEAD, QUERIES, PRIORS),
    Row(PREDICTOR, WRONG, QUERIES, PRIORS),
    Row(SOLVER, OVERTIME, QUERIES, WHOLE),
    Row(CONFIG, BROKEN, STREAM, WHOLE),
    Row(CONFIG, DROPPED, STREAM, WHOLE),
    Row(WORKER, FORWARD, STREAM, WHOLE),
    Row(WORKER, BACK, STREAM, WHOLE),
    Row(WORKER, KILLED, STREAM, CLOSED, "the answers that it was sending"),
]
