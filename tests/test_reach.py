"""Whom of a batch the decision looks at."""

from __future__ import annotations

import asyncio

import numpy as np

from gateway.batcher.line import Waiter
from gateway.batcher.reach import RIVALS, within_reach
from gateway.core.decision import Decision, Stopwatch
from gateway.core.fleet import Fleet
from gateway.core.placing import Ask
from gateway.domain import Capacity, Endpoint, Model, Price, Query, Route, Tradeoff

FLEET = Fleet(
    [Model("a", Price(1, 1)), Model("b", Price(2, 2))],
    [Endpoint(name, name[0], "http://127.0.0.1:1", Capacity(4)) for name in ("a1", "a2", "b1")],
    [Route("auto", ("a", "b"), Tradeoff(0))],
)
SEEN = Ask(models=np.ones(2, dtype=np.bool_))


async def waiter(
    target: str, *, new: bool = False, review_at: float = 9.0, excluded: tuple[int, ...] = ()
) -> Waiter[str]:
    models = FLEET.candidates(target)
    query = Query(id="q", target=target, models=models, messages=b"[]", deadline_at=60.0)
    decision = Decision(query=query, watch=Stopwatch(0.0), ask=None if new else SEEN)
    return Waiter(decision, excluded, asyncio.get_running_loop().create_future(), review_at=review_at)


async def near(batch: list[Waiter[str]], *places: int) -> list[int]:
    found = within_reach(batch, FLEET, np.array(places), now=5.0)
    return [place for place, each in enumerate(batch) if each in found]


async def test_of_those_who_named_a_model_as_many_are_looked_at_as_there_are_places() -> None:
    batch = [await waiter(target) for target in ("a", "b", "a", "b", "a", "a")]
    assert await near(batch, 2, 1, 1) == [0, 1, 2, 4]


async def test_a_choice_has_rivals_for_each_place() -> None:
    batch = [await waiter("auto") for _ in range(3 * RIVALS)]
    assert await near(batch, 1, 0, 1) == list(range(2 * RIVALS))


async def test_where_nothing_is_free_only_newcomers_are_looked_at() -> None:
    batch = [await waiter("a"), await waiter("a", new=True), await waiter("a", review_at=4.0), await waiter("b")]
    assert await near(batch, 0, 0, 1) == [1, 3]


async def test_whoever_comes_alone_is_looked_at_once_room_or_not() -> None:
    for places in ((0, 0, 0), (1, 0, 0)):
        assert await near([await waiter("a", new=True)], *places) == [0]
    assert await near([await waiter("a")], 0, 0, 1) == []


async def test_whoever_has_waited_enough_is_looked_at_wherever_it_stands() -> None:
    batch = [await waiter("a"), await waiter("a"), await waiter("a", review_at=5.0)]
    assert await near(batch, 1, 0, 0) == [0, 2]


async def test_an_endpoint_that_failed_a_query_is_no_place_for_it() -> None:
    batch = [await waiter("a", excluded=(0,)), await waiter("a")]
    assert await near(batch, 3, 0, 0) == [1]
