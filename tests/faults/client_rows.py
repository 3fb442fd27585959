"""What a client can do wrong. The names are those of the table; test_clients.py plays them."""

from __future__ import annotations

from dataclasses import dataclass

AWAY = "-"  # it has left: nobody sees anything


@dataclass(frozen=True)
class Row:
    """One way to go wrong in one phase."""

    fault: str
    phase: str
    saw: str = AWAY
    quick: bool = False


LEAVES = "leaves"
RESETS = "resets its connection"
HALF_CLOSES = "closes its side and reads on"
STOPS_READING = "stops reading and stays"
READS_SLOWLY = "reads slowly"
VANISHES = "is gone without a word: its machine answers no more"
WINDOW, PREDICTOR, SOLVER, RESERVING, QUEUE = "in the window", "in the predictor", "in the solver", "in reserving", (
    "in the queue"
)  # fmt: skip
FIRST_BYTE_S, FIRST_BYTE_W = "before the first byte, streamed", "before the first byte, not streamed"
MID_STREAM, MID_BODY = "in mid-stream", "inside a body that is not streamed"

ROWS = [
    Row(LEAVES, WINDOW),
    Row(LEAVES, PREDICTOR),
    Row(LEAVES, SOLVER),
    Row(LEAVES, RESERVING),
    Row(LEAVES, QUEUE),
    Row(LEAVES, FIRST_BYTE_S),
    Row(LEAVES, FIRST_BYTE_W),
    Row(LEAVES, MID_STREAM, quick=True),
    Row(LEAVES, MID_BODY),
    Row(RESETS, FIRST_BYTE_W),
    Row(RESETS, MID_STREAM),
    Row(HALF_CLOSES, MID_STREAM, "the end of its connection"),
    Row(STOPS_READING, MID_STREAM, "nothing until `timeout.total`, then the end"),
    Row(READS_SLOWLY, MID_STREAM, "the whole answer"),
    Row(VANISHES, MID_STREAM),
    Row(VANISHES, FIRST_BYTE_W),
]
