"""How long an endpoint will take for a query, from its live load: a linear model of queue, prefill and decoding.

    seconds = queue + overhead + input / prefill rate + output x time per token at this load

Every term is linear in tokens or in queries ahead, which is what continuous batching shows until its memory is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gateway.core.problem import Bools, Floats, Ints

PREFILL_RATE = 2_000.0  # tokens per second of an endpoint that has not been measured
DECODE_RATE = 30.0  # tokens per second and query of an endpoint that has not been measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast each endpoint is, (E,) each, all finite."""

    prefill_s: Floats  # of an input token
    token_s: Floats  # of an output token of a query that is alone there
    crowding: Floats  # share by which one more running query slows each token; 0 for an API that scales behind its door
    overhead_s: Floats  # network and first scheduling
    crowds: bool = True  # False: `crowding` is 0 everywhere


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What each endpoint is doing now, (E,) each: by its own report where it gives one, else by our leases."""

    running: Ints  # queries being answered
    waiting: Ints  # queries in its own queue
    slots: Ints  # how many it answers at once
    mean_input: Floats  # tokens of a typical query there
    mean_output: Floats

    @cached_property
    def joined(self) -> Ints:
        """(E,) queries with one more."""
        return np.asarray(self.running + self.waiting + 1)

    @cached_property
    def servers(self) -> Ints:
        """(E,) slots, at least 1."""
        return np.maximum(self.slots, 1)

    @cached_property
    def sharing(self) -> Ints:
        """(E,) queries that are answered at once with one more."""
        return np.minimum(self.joined, self.servers)

    @cached_property
    def queued(self) -> bool:
        """Whether one more would have to wait for a slot somewhere."""
        return bool((self.joined > self.servers).any())


def seconds_of_service(input_tokens: Floats, output_tokens: Floats, pace: Pace, traffic: Traffic) -> Floats:
    """(Q, E) expected seconds in a slot, to the last token. Tokens are (Q, E), input without what is cached."""
    return _service(input_tokens, output_tokens, pace, traffic.sharing if pace.crowds else None)


def seconds_to_start(traffic: Traffic, between: Floats) -> Floats:
    """(E,) expected seconds that one more query waits for a slot; 0 where one is free. `between` is `slot_seconds`."""
    wait: Floats = np.maximum(traffic.joined - traffic.servers, 0) * between
    return wait


def slot_seconds(pace: Pace, traffic: Traffic) -> Floats:
    """(E,) expected seconds between two slots that free themselves, with all of them taken by typical queries."""
    between: Floats = _service(traffic.mean_input, traffic.mean_output, pace, traffic.servers) / traffic.servers
    return between


def in_time(seconds: Floats, deadline_s: Floats, allowed: Bools) -> Bools:
    """(Q, E) what is allowed and expected to end before each query's deadline (Q,); its fastest where nothing is."""
    early: Bools = allowed & (seconds <= deadline_s[:, None])
    late = ~early.any(axis=1)
    if late.any():
        fastest = np.where(allowed, seconds, np.inf)
        early[late] = (allowed & (fastest == fastest.min(axis=1, initial=np.inf, keepdims=True)))[late]
    return early


def _service(input_tokens: Floats, output_tokens: Floats, pace: Pace, running: Ints | None) -> Floats:
    """Seconds in a slot while `running` queries share the endpoint: at least one. None: it does not matter how many."""
    per_token = pace.token_s if running is None else (1 + pace.crowding * (running - 1)) * pace.token_s
    seconds: Floats = pace.overhead_s + input_tokens * pace.prefill_s + output_tokens * per_token
    return seconds
