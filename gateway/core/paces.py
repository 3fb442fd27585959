"""What answers have shown of how fast each endpoint is: means that follow the newest, and fade when nothing new comes.

An endpoint that has not been measured, or not for long, is taken for as fast as the others: were it taken for slower,
nothing would be sent there and nobody would ever learn better.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan, nan
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
        self._per_token = _Figure(count, 1 / DECODE_RATE)  # seconds of an output token
        self._prefill = np.full(count, 1 / PREFILL_RATE)  # seconds of an input token: not measured
        self._overhead = _Figure(count, 0.0)  # seconds to the first token beside prefill
        self._crowd = [1.0] * count  # queries beside which that was
        self._slowed = np.ones(count)  # by them, a factor
        self._input, self._output = np.full(count, ORDINARY_INPUT), np.full(count, ORDINARY_OUTPUT)
        self._answers = [0] * count
        self._seen = np.full(count, -np.inf)
        # an API scales behind its door: what others send there does not show
        self._crowding = np.array([0.0 if each.kind is Kind.OPENAI else CROWDING for each in endpoints])
        self._crowds = bool(self._crowding.any())
        self._index = {each.name: index for index, each in enumerate(endpoints)}
        self._slots = np.array([each.capacity.concurrency for each in endpoints], dtype=np.int64)
        self._nobody = np.zeros_like(self._slots)
        self._still: tuple[Headroom, Traffic] | None = None  # the last of them

    def inherit(self, before: Paces, names: Iterable[str]) -> None:
        """What was measured of these endpoints, which are the same as before."""
        for name in names:
            here, there = self._index[name], before._index[name]
            self._per_token.put(here, before._per_token.at(there))
            self._overhead.put(here, before._overhead.at(there))
            self._put_crowd(here, before._crowd[there])
            self._answers[here] = before._answers[there]
            for mine, theirs in (
                (self._input, before._input),
                (self._output, before._output),
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
        step = max(NEWEST, 1 / self._answers[index])
        prefill = (usage.input_tokens - usage.cached_tokens) / PREFILL_RATE
        overhead, per_token = self._overhead, self._per_token
        if first_s < total_s:
            overhead.put(index, _followed(overhead.at(index), max(0.0, first_s - prefill), step))
        known = overhead.at(index)
        known = known if isfinite(known) else 0.0
        decoding = total_s - first_s if first_s < total_s else total_s - prefill - known
        per_token.put(index, _followed(per_token.at(index), max(0.0, decoding) / max(1, usage.output_tokens), step))
        self._put_crowd(index, _followed(self._crowd[index], running, step))
        # plain numbers: arithmetic with NumPy's takes ten times as long
        self._input[index] = _followed(self._input.item(index), usage.input_tokens, step)
        self._output[index] = _followed(self._output.item(index), usage.output_tokens, step)
        self._seen[index] = now

    def _put_crowd(self, index: int, crowd: float) -> None:
        self._crowd[index] = crowd
        self._slowed[index] = 1 + self._crowding.item(index) * max(crowd - 1, 0)

    def known(self, indices: Sequence[int]) -> bool:
        """Whether enough answers of each have been seen to go by their pace."""
        return all(self._answers[index] >= ENOUGH for index in indices)

    def pace(self, now: float) -> Pace:
        """How fast each is, as far as can be told at this time."""
        trust = np.exp((self._seen - now) / TRUSTED_S)
        per_token = self._per_token.blend(trust)
        return Pace(
            prefill_s=self._prefill,
            token_s=per_token / self._slowed if self._crowds else per_token,
            crowding=self._crowding,
            overhead_s=self._overhead.blend(trust),
            crowds=self._crowds,
        )

    def traffic(self, free: Headroom, queues: Mapping[str, Queue]) -> Traffic:
        """What each is doing: our leases and others' as the book knows them, and its own queue where it tells of one.

        An endpoint that lets queries wait has no slot free, whatever was configured: it answers as many at once as it
        says are running.
        """
        if not queues and self._still is not None and self._still[0] is free:
            return self._still[1]
        slots, waiting = self._slots, self._nobody
        running: Ints = np.maximum(slots - free.slots, 0)
        telling = {name: queue for name, queue in queues.items() if queue.waiting and name in self._index}
        if telling:
            slots, waiting = slots.copy(), waiting.copy()
            for name, queue in telling.items():
                index = self._index[name]
                slots[index] = running[index] = max(1, min(int(slots[index]), queue.running))
                waiting[index] = queue.waiting
        traffic = Traffic(
            running=running, waiting=waiting, slots=slots, mean_input=self._input, mean_output=self._output
        )
        self._still = None if telling else (free, traffic)
        return traffic

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


class _Figure:
    """One mean of each of E endpoints, NaN where it has not been measured, and what is usual of them."""

    def __init__(self, count: int, default: float) -> None:
        self._own = [nan] * count
        self._default = np.full(count, default)
        self._is_measured = False  # of any
        self._known: tuple[float, Floats] | None = None  # what is usual, and (E,) how far each is from it

    def at(self, index: int) -> float:
        return self._own[index]

    def put(self, index: int, mean: float) -> None:
        self._own[index] = mean
        self._is_measured |= isfinite(mean)
        self._known = None

    def blend(self, trust: Floats) -> Floats:
        """(E,) each one's own as far as it is trusted, else what is usual among those that have been measured."""
        if not self._is_measured:
            return self._default
        if self._known is None:
            usual = _median([mean for mean in self._own if isfinite(mean)])
            self._known = usual, np.array([mean - usual if isfinite(mean) else 0.0 for mean in self._own])
        usual, apart = self._known
        return usual + trust * apart


def _followed(mean: float, value: float, step: float) -> float:
    """The mean as the newest value moves it."""
    return value if isnan(mean) else mean + step * (value - mean)


def _median(values: list[float]) -> float:
    """NumPy's takes twenty times as long for a few."""
    values.sort()
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
