"""Headroom, its easing, and the choice of an endpoint."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.capacity import NOWHERE, UNLIMITED, Load, eased, headroom, limits, roomiest
from gateway.domain import Capacity


def _ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_an_unsaid_limit_is_unlimited_and_stays_so() -> None:
    whole = limits([Capacity(4), Capacity(2, tokens_per_minute=100, requests_per_minute=7, kv_tokens=50)])
    assert whole.slots.tolist() == [4, 2]
    assert whole.tokens.tolist() == [UNLIMITED, 100]
    load = Load(slots=_ints(1, 5), requests=_ints(9, 3), tokens=_ints(900, 60), kv=_ints(300, 60))
    free = headroom(whole, load)
    assert free.slots.tolist() == [3, 0]
    assert free.requests.tolist() == [UNLIMITED, 4]
    assert free.tokens.tolist() == [UNLIMITED, 40]
    assert free.kv.tolist() == [UNLIMITED, 0]
    assert free.places.tolist() == [3, 0]


def test_no_endpoints_is_a_headroom_of_no_columns() -> None:
    assert limits([]).slots.shape == (0,)
    assert roomiest(limits([]).slots, random.Random(1).random) == NOWHERE


@given(st.integers(1, 40), st.integers(0, 40), st.floats(0, 1))
def test_an_eased_endpoint_uses_its_share_and_no_more(capacity: int, taken: int, factor: float) -> None:
    whole = limits([Capacity(capacity)])
    load = Load(slots=_ints(taken), requests=_ints(0), tokens=_ints(0), kv=_ints(0))
    free = headroom(whole, load)
    slots = int(eased(free, whole, np.array([factor])).slots[0])
    assert 0 <= slots <= int(free.slots[0])
    assert slots == 0 or taken + slots <= np.ceil(capacity * factor)
    if factor > 0 and taken == 0:
        assert slots >= 1


def test_full_share_is_no_easing() -> None:
    whole = limits([Capacity(5)])
    assert eased(whole, whole, np.array([1.0])).slots.tolist() == [5]


def test_an_open_endpoint_is_offered_to_its_probe_alone() -> None:
    whole = limits([Capacity(5), Capacity(5), Capacity(5)])
    assert eased(whole, whole, np.array([0.0, 0.0, 1.0]), _ints(1, 0, 0)).slots.tolist() == [1, 0, 5]


def test_the_roomiest_is_chosen_and_a_full_one_never() -> None:
    draw = random.Random(1).random
    assert roomiest(_ints(1, 7, 3), draw) == 1
    assert roomiest(_ints(0, 0), draw) == NOWHERE


def test_ties_are_shared_evenly() -> None:
    draw = random.Random(7).random
    count = Counter(roomiest(_ints(3, 1, 3, 3), draw) for _ in range(3000))
    assert set(count) == {0, 2, 3}
    assert min(count.values()) > 900
