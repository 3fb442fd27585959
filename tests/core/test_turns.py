"""Turns against a list that is sorted anew each time, and what they promise."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.turns import CREDIT, FORGET, Turns


@dataclass(frozen=True)
class Who:
    name: int
    key: str
    priority: int
    due: float


@dataclass
class Plain:
    """The same by brute force: every start is worked out anew."""

    waiting: list[Who]
    starts: dict[tuple[int, str], float]
    virtual: dict[int, float]

    def order(self) -> list[Who]:
        lanes: dict[tuple[int, str], list[Who]] = {}
        for who in sorted(self.waiting, key=lambda who: (who.due, who.name)):
            lanes.setdefault((who.priority, who.key), []).append(who)
        placed = [
            (-lane[0], self.starts[lane] + place, who.due, who.name, who)
            for lane, members in lanes.items()
            for place, who in enumerate(members)
        ]
        return [who for *_, who in sorted(placed, key=lambda each: each[:4])]

    def join(self, who: Who) -> None:
        if not any(other.priority == who.priority for other in self.waiting):
            self.virtual[who.priority] = 0.0
            self.starts = {lane: start for lane, start in self.starts.items() if lane[0] != who.priority}
        lane = (who.priority, who.key)
        if not any((other.priority, other.key) == lane for other in self.waiting):
            floor = self.virtual[who.priority] - CREDIT
            self.starts[lane] = max(self.starts.get(lane, floor), floor)
        self.waiting.append(who)

    def leave(self, who: Who, *, served: bool) -> None:
        self.waiting.remove(who)
        if served:
            start = self.starts[who.priority, who.key]
            self.virtual[who.priority] = max(self.virtual[who.priority], start)
            self.starts[who.priority, who.key] = start + 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 9)),
        st.tuples(st.sampled_from(["serve", "go"]), st.integers(0, 5)),
    ),
    max_size=40,
)


@given(steps)
def test_the_order_is_that_of_brute_force(moves: list[tuple[object, ...]]) -> None:
    turns: Turns[Who] = Turns()
    plain = Plain([], {}, {})
    for number, move in enumerate(moves):
        if move[0] == "join":
            _, key, priority, due = move
            who = Who(number, str(key), int(str(priority)), float(str(due)))
            turns.join(who, priority=who.priority, key=who.key, due=who.due)
            plain.join(who)
        elif plain.waiting:
            order = plain.order()
            who = order[min(int(str(move[1])), len(order) - 1)]
            turns.leave(who, served=move[0] == "serve")
            plain.leave(who, served=move[0] == "serve")
        order = plain.order() if plain.waiting else []
        assert list(turns.in_turn()) == order
        assert list(turns) == plain.waiting
        assert len(turns) == len(order)
        if order:
            assert turns.last() == order[-1]
            assert all(turns.ahead(who) <= place for place, who in enumerate(order))
            assert turns.ahead(order[0]) == 0


def crowd(sizes: dict[str, int]) -> Turns[Who]:
    turns: Turns[Who] = Turns()
    for key, size in sizes.items():
        for number in range(size):
            who = Who(hash((key, number)), key, 0, float(number))
            turns.join(who, priority=0, key=key, due=who.due)
    return turns


def test_keys_that_wait_all_the_time_get_as_much_as_each_other() -> None:
    turns, served = crowd({"greedy": 200, "a": 20, "b": 20}), Counter[str]()
    for _ in range(60):
        who = next(turns.in_turn())
        turns.leave(who, served=True)
        served[who.key] += 1
        assert max(served.values()) - min(served[key] for key in ("greedy", "a", "b")) <= 1
    assert served == {"greedy": 20, "a": 20, "b": 20}


def test_who_was_away_has_saved_up_a_little_and_no_more() -> None:
    turns = crowd({"busy": 100})
    for _ in range(50):
        turns.leave(next(turns.in_turn()), served=True)
    for number in range(50):
        turns.join(Who(-number, "back", 0, 1e9), priority=0, key="back", due=1e9)
    first = [who.key for who, _ in zip(turns.in_turn(), range(CREDIT + 7), strict=False)]
    assert first == ["back"] * (CREDIT + 1) + ["busy", "back"] * 3


def test_those_who_leave_unserved_have_had_no_turn() -> None:
    turns = crowd({"a": 10, "b": 10})
    for who in [who for who in turns if who.key == "a"][:9]:
        turns.leave(who)
        turns.leave(who)
    assert {who.key for who, _ in zip(turns.in_turn(), range(2), strict=False)} == {"a", "b"}


def test_memory_is_bounded_by_those_who_wait() -> None:
    turns = crowd({"stays": 2 * FORGET})
    for number in range(2000):
        once = Who(-number, f"once {number}", 0, 0.0)
        turns.join(once, priority=0, key=once.key, due=0.0)
        turns.leave(once, served=True)
        if number % 2:
            turns.join(Who(number, "stays", 0, 1e9), priority=0, key="stays", due=1e9)
            turns.leave(next(who for who in turns.in_turn() if who.key == "stays"), served=True)
    assert len(turns._ranks[0].lanes) <= 2 * len(turns) + FORGET + 1  # noqa: SLF001


@pytest.mark.parametrize("servers", [1, 4, 16])
def test_a_greedy_key_makes_others_wait_little_longer_than_alone(servers: int) -> None:
    """Four modest keys use half of the capacity; one more sends twenty times as much as each of them."""
    alone, beside = (waits(servers, greedy=greedy, seconds=8000.0 / servers) for greedy in (0.0, 20.0))
    assert p99(beside) <= p99(alone) + 2.0  # mean service times
    assert len(beside) == len(alone)


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


def waits(servers: int, *, greedy: float, seconds: float, most: int = 100) -> list[float]:
    """How long the modest ones wait, in mean service times, on so many servers; in virtual time."""
    rng, turns = random.Random(servers), Turns[Who]()
    arrivals: list[tuple[float, int, str]] = []
    for key, rate in [*((f"modest {n}", servers / 8) for n in range(4)), ("greedy", greedy * servers / 8)]:
        at = 0.0
        while rate and (at := at + rng.expovariate(rate)) < seconds:
            arrivals.append((at, rng.getrandbits(60), key))
    busy: list[float] = []
    waited = []
    services = random.Random(1)
    for at, number, key in [*sorted(arrivals), (seconds * 100, 0, "modest end")]:
        while len(turns) and busy and busy[0] <= at:
            now = heapq.heappop(busy)
            who = next(turns.in_turn())
            turns.leave(who, served=True)
            heapq.heappush(busy, now + services.expovariate(1.0))
            waited += [now - who.due] if who.key != "greedy" else []
        while busy and busy[0] <= at:
            heapq.heappop(busy)
        if len(busy) < servers:
            heapq.heappush(busy, at + services.expovariate(1.0))
            waited += [0.0] if key != "greedy" else []
            continue
        who = Who(number, key, 0, at)
        turns.join(who, priority=0, key=key, due=at)
        if len(turns) > most:
            turns.leave(turns.last())
    return waited
