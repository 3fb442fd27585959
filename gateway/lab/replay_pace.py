"""How long a replayed model takes: a first token, then one after another. Plain arithmetic, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.lab.replay_answers import Answer

MIN_GAP = 0.02  # seconds, a real token at the default pace: writes that are due closer together leave in one


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the request's arrival."""

    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, before they are divided by `speed`. The defaults are those of a mid-sized model on one GPU."""

    first_token: float = 0.25
    per_input_token: float = 0.0002
    per_output_token: float = 0.02
    speed: float = 1.0

    def timing(self, answer: Answer) -> Timing:
        """When the answer's first and last tokens are due; a recorded latency is kept, and shared out alike."""
        first = self.first_token + self.per_input_token * answer.input_tokens
        last = first + self.per_output_token * answer.output_tokens
        scale = 1.0 if answer.seconds is None else answer.seconds / last
        return Timing(first * scale / self.speed, last * scale / self.speed)


def writes(timing: Timing, events: list[bytes]) -> Iterator[tuple[float, bytes]]:
    """(due, bytes) for events spread evenly from the first token to the last, grouped by MIN_GAP."""
    span = timing.last - timing.first
    count = max(1, min(len(events), int(span / MIN_GAP)))
    for group in range(count):
        low, high = (len(events) * edge // count for edge in (group, group + 1))
        yield timing.first + span * group / count, b"".join(events[low:high])
