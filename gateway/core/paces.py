"""What answers have shown of how fast each endpoint is: means that follow the newest, and fade when nothing new comes.

An endpoint that has not been measured, or not for long, is taken for as fast as the others: were it taken for slower,
nothing would be sent there and nobody would ever learn better.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.latency import (
    DECODE_RATE,
    PREFILL_RATE,
    Pace,
    Traffic,
    seconds_of_service,
    seconds_to_start,
    slot_seconds,
)
from gateway.domain import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.core.capacity import Headroom
    from gateway.core.problem import Floats, Ints
    from gateway.domain import Endpoint, Usage

NEWEST: Final = 0.05  # weight of the newest answer in a mean: about the last 20
ENOUGH: Final = 20  # answers that make a mean
TRUSTED_S: Final = 300.0  # seconds after which an endpoint's own pace counts for 1/e, and the others' for the rest
CROWDING: Final = 0.02  # a batch of 50 halves the rate of each: decoding reads the weights once for all of them
ORDINARY_INPUT: Final = 250.0  # tokens, before the first answer: about a page
ORDINARY_OUTPUT: Final = 256.0  # domain.Prior's


@dataclass(frozen=True, slots=True)
class Queue:
    """What an endpoint with a queue of its own says of it."""

    running: int
    waiting: int


class Paces:
    """Of E endpoints, by index. Times are seconds of one clock; nothing here reads it."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        count = len(endpoints)
        self._per_token = np.full(count, np.nan)  # seconds of an output token
        self._prefill = np.full(count, 1 / PREFILL_RATE)  # seconds of an input token: not measured
        self._overhead = np.full(count, np.nan)  # seconds to the first token beside prefill
        self._crowd = np.ones(count)  # queries beside which that was
        self._input, self._output = np.full(count, ORDINARY_INPUT), np.full(count, ORDINARY_OUTPUT)
        self._answers = np.zeros(count, dtype=np.int64)
        self._seen = np.full(count, -np.inf)
        # an API scales behind its door: what others send there does not show
        self._crowding = np.array([0.0 if each.kind is Kind.OPENAI else CROWDING for each in endpoints])
        self._index = {each.name: index for index, each in enumerate(endpoints)}
        self._slots = np.array([each.capacity.concurrency for each in endpoints], dtype=np.int64)
        self._nobody = np.zeros_like(self._slots)

    def inherit(self, before: Paces, names: Iterable[str]) -> None:
        """What was measured of these endpoints, which are the same as before."""
        for name in names:
            here, there = self._index[name], before._index[name]
            for mine, theirs in (
                (self._per_token, before._per_token),
                (self._overhead, before._overhead),
                (self._crowd, before._crowd),
                (self._input, before._input),
                (self._output, before._output),
                (self._answers, before._answers),
                (self._seen, before._seen),
            ):
                mine[here] = theirs[there]

    def finished(self, index: int, usage: Usage, *, first_s: float, total_s: float, running: int, now: float) -> None:
        """An answer of this endpoint has ended.

        Args:
            index: the endpoint's.
            usage: of the answer.
            first_s: to its first byte; `total_s` where it came in one piece, which tells nothing of the first token.
            total_s: to its last.
            running: queries that it was answering when this one came, itself counted.
            now: when it ended.
        """
        self._answers[index] += 1
        step = max(NEWEST, 1 / self._answers.item(index))
        prefill = (usage.input_tokens - usage.cached_tokens) / PREFILL_RATE
        if first_s < total_s:
            _follow(self._overhead, index, max(0.0, first_s - prefill), step)
        known = self._overhead.item(index)
        known = known if isfinite(known) else 0.0
        decoding = total_s - first_s if first_s < total_s else total_s - prefill - known
        _follow(self._per_token, index, max(0.0, decoding) / max(1, usage.output_tokens), step)
        _follow(self._crowd, index, running, step)
        _follow(self._input, index, usage.input_tokens, step)
        _follow(self._output, index, usage.output_tokens, step)
        self._seen[index] = now

    def known(self, indices: Sequence[int]) -> bool:
        """Whether enough answers of each have been seen to go by their pace."""
        return bool((self._answers[list(indices)] >= ENOUGH).all())

    def pace(self, now: float) -> Pace:
        """How fast each is, as far as can be told at this time."""
        trust = np.exp(-(now - self._seen) / TRUSTED_S)
        per_token = _blend(self._per_token, trust, 1 / DECODE_RATE)
        return Pace(
            prefill_s=self._prefill,
            token_s=per_token / (1 + self._crowding * np.maximum(self._crowd - 1, 0)),
            crowding=self._crowding,
            overhead_s=_blend(self._overhead, trust, 0.0),
        )

    def traffic(self, free: Headroom, queues: Mapping[str, Queue]) -> Traffic:
        """What each is doing: our leases and others' as the book knows them, and its own queue where it tells of one.

        An endpoint that lets queries wait has no slot free, whatever was configured: it answers as many at once as it
        says are running.
        """
        slots, waiting = self._slots, self._nobody
        running: Ints = np.maximum(slots - free.slots, 0)
        telling = {name: queue for name, queue in queues.items() if queue.waiting and name in self._index}
        if telling:
            slots, waiting = slots.copy(), waiting.copy()
            for name, queue in telling.items():
                index = self._index[name]
                slots[index] = running[index] = max(1, min(int(slots[index]), queue.running))
                waiting[index] = queue.waiting
        return Traffic(running=running, waiting=waiting, slots=slots, mean_input=self._input, mean_output=self._output)

    def slot_wait(self, now: float) -> Floats:
        """(E,) expected seconds until one of its slots frees when all are taken."""
        none = self._nobody
        full = Traffic(running=none, waiting=none, slots=self._slots, mean_input=self._input, mean_output=self._output)
        return slot_seconds(self.pace(now), full)

    def typical(self, traffic: Traffic, now: float) -> Floats:
        """(E,) expected seconds from now to the last token of a query like the last ones there."""
        pace = self.pace(now)
        service = seconds_of_service(self._input[None], self._output[None], pace, traffic)[0]
        seconds: Floats = seconds_to_start(traffic, slot_seconds(pace, traffic)) + service
        return seconds


def _follow(means: Floats, index: int, value: float, step: float) -> None:
    mean = means.item(index)  # a plain number: arithmetic with NumPy's takes ten times as long
    means[index] = value if isnan(mean) else mean + step * (value - mean)


def _blend(own: Floats, trust: Floats, default: float) -> Floats:
    """(E,) each one's own as far as it is trusted, else what is usual among those that have been measured."""
    measured = np.isfinite(own)
    known = own[measured].tolist()
    if not known:
        return np.full(own.shape, default)
    usual = _median(known)
    return np.where(measured, usual + trust * (own - usual), usual)


def _median(values: list[float]) -> float:
    """NumPy's takes twenty times as long for a few."""
    values.sort()
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
