"""How fast endpoints are, by the answers that they gave."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.core.latency import seconds_of_service, seconds_to_start, slot_seconds
from gateway.core.paces import CROWDING, TRUSTED_S, Paces, Queue
from gateway.domain import Capacity, Endpoint, Kind, Usage

ENDPOINTS = [
    Endpoint(name, "m", "http://127.0.0.1:1", Capacity(4), kind=kind)
    for name, kind in (("api", Kind.OPENAI), ("own", Kind.VLLM), ("new", Kind.OPENAI))
]
API, OWN, NEW = range(3)


def free(*slots: int) -> Headroom:
    unlimited = np.full(3, UNLIMITED)
    return Headroom(np.array(slots), unlimited, unlimited, unlimited)


def expected(paces: Paces, now: float, *, output: float = 100.0) -> list[float]:
    """Seconds of a query without input, beside nobody."""
    traffic = paces.traffic(free(4, 4, 4), {})
    seconds: list[float] = seconds_of_service(np.zeros((1, 3)), np.full((1, 3), output), paces.pace(now), traffic)[
        0
    ].tolist()
    return seconds


def watched(*answers: tuple[int, int, float, float]) -> Paces:
    """Endpoint, output tokens, seconds to the first byte and to the last."""
    paces = Paces(ENDPOINTS)
    for index, tokens, first_s, total_s in answers:
        paces.finished(index, Usage(0, tokens), first_s=first_s, total_s=total_s, running=1, now=0.0)
    return paces


def test_a_stream_tells_the_first_token_from_the_others() -> None:
    paces = watched((API, 100, 0.5, 2.5))
    assert expected(paces, 0.0)[API] == pytest.approx(0.5 + 100 / 50)
    assert expected(paces, 0.0, output=200)[API] == pytest.approx(0.5 + 200 / 50)


def test_an_answer_in_one_piece_tells_its_whole_time() -> None:
    assert expected(watched((API, 100, 3.0, 3.0)), 0.0)[API] == pytest.approx(3.0)


def test_means_follow_what_is_seen() -> None:
    paces = watched((API, 100, 0.0, 1.0), *[(API, 100, 0.0, 4.0)] * 200)
    assert expected(paces, 0.0)[API] == pytest.approx(4.0, rel=0.01)
    assert paces.slot_wait(0.0)[API] == pytest.approx(4.0 / 4, rel=0.01)


def test_who_has_not_been_measured_is_taken_for_as_fast_as_the_others() -> None:
    paces = watched((API, 100, 0.1, 1.1))
    assert expected(paces, 0.0)[NEW] == pytest.approx(expected(paces, 0.0)[API])


def test_a_slow_spell_is_forgotten_so_that_somebody_tries_again() -> None:
    paces = watched((API, 100, 0.1, 60.0), (OWN, 100, 0.1, 1.1), (NEW, 100, 0.1, 1.1))
    early, late = expected(paces, 1.0), expected(paces, 20 * TRUSTED_S)
    assert early[API] > 50 * early[NEW]
    assert late[API] == pytest.approx(late[NEW], rel=0.01)


def test_company_slows_an_engine_of_ones_own_but_no_api() -> None:
    paces = watched((API, 100, 0.0, 2.0), (OWN, 100, 0.0, 2.0))
    crowded = paces.traffic(free(1, 1, 4), {})
    seconds = seconds_of_service(np.zeros((1, 3)), np.full((1, 3), 100.0), paces.pace(0.0), crowded)[0]
    assert seconds[OWN] > seconds[API]
    assert seconds[API] == pytest.approx(2.0)


def test_a_pace_measured_in_company_is_faster_alone() -> None:
    alone, beside = watched((OWN, 100, 0.0, 2.0)), Paces(ENDPOINTS)
    beside.finished(OWN, Usage(0, 100), first_s=0.0, total_s=2.0, running=3, now=0.0)
    one, three = alone.pace(0.0).token_s[OWN], beside.pace(0.0).token_s[OWN]
    assert one / three == pytest.approx(1 + 2 * CROWDING)


def test_an_endpoint_that_lets_queries_wait_has_no_slot_free() -> None:
    paces = watched((API, 100, 0.0, 1.0), (OWN, 100, 0.0, 1.0))
    traffic = paces.traffic(free(4, 2, 4), {"own": Queue(running=2, waiting=3), "gone": Queue(1, 1)})
    assert (traffic.slots[OWN], traffic.running[OWN], traffic.waiting[OWN]) == (2, 2, 3)
    start = seconds_to_start(traffic, slot_seconds(paces.pace(0.0), traffic))
    assert start[API] == 0
    assert start[OWN] == pytest.approx(4 * 1.0 * 1.02 / 2)


def test_the_time_of_a_typical_query_is_its_wait_and_its_service() -> None:
    paces = watched((API, 100, 0.0, 2.0))
    assert paces.typical(paces.traffic(free(4, 4, 4), {}), 0.0)[API] == pytest.approx(2.0)
    assert paces.typical(paces.traffic(free(0, 4, 4), {}), 0.0)[API] == pytest.approx(2.0 + 2.0 / 4)


def test_strange_usage_leaves_a_finite_pace() -> None:
    paces = watched((API, 0, 0.0, 0.0), (API, 0, 5.0, 1.0))
    assert np.isfinite(expected(paces, 0.0)).all()


def test_a_pace_is_known_after_twenty_answers_of_each() -> None:
    paces = watched(*[(API, 100, 0.0, 4.0)] * 20, *[(OWN, 100, 0.0, 4.0)] * 19)
    assert paces.known([API])
    assert not paces.known([API, OWN])
