"""The line on a clock that jumps: order, deadlines, and when a batch is due."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from math import inf

import pytest

from gateway.batcher.line import Line, Waiter
from gateway.core.decision import Attempt, Decision, Stopwatch
from gateway.core.window import Window
from gateway.domain import Preferences, Query
from gateway.errors import NoHeadroomError
from tests.clock import jump


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Pace:
    """One slot, which frees every so many seconds."""

    seconds: float = 0.0

    def hopeless(self, query: Query, ahead: int) -> bool:
        return now() + self.seconds * (ahead + 1) > query.deadline_at

    def refusal(self, _: Query, ahead: int, reason: str) -> NoHeadroomError:
        return NoHeadroomError(reason, retry_after=ahead + 1)


def line(*, max_size: int = 10, window: Window | None = None, pace: float = 0.0) -> Line[str]:
    return Line(window or Window(0.010, 4), max_size, prospects=Pace(pace), now=now)


def arriving(
    name: str, *, priority: int = 0, patience: float = inf, key: str = "", models: tuple[str, ...] = ("m",)
) -> Decision:
    query = Query(
        id=name,
        target="auto",
        models=models,
        key=key,
        messages=b"[]",
        arrived_at=now(),
        deadline_at=now() + patience,
        preferences=Preferences(priority=priority),
    )
    return Decision(query=query, watch=Stopwatch(now()))


def never(_: float) -> float:
    return inf


def names(batch: list[Waiter[str]]) -> list[str]:
    return [waiter.query.id for waiter in batch]


def test_a_batch_is_taken_by_priority_then_arrival() -> None:
    async def story() -> list[str]:
        waiting = line()
        for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
            waiting.join(arriving(name, priority=priority), ())
        return names(waiting.take())

    assert jump(story()) == ["b", "d", "a", "c"]


def test_a_lone_query_is_due_at_once() -> None:
    async def story() -> float:
        waiting, started = line(), now()
        waiting.join(arriving("a"), ())
        await waiting.until_due(never)
        return now() - started

    assert jump(story()) == 0.0


@pytest.mark.parametrize(("company", "waited"), [(1, 0.010), (4, 0.0)])
def test_after_contention_a_batch_waits_for_company(company: int, waited: float) -> None:
    async def story() -> float:
        waiting = line()
        waiting.join(arriving("a"), ())
        await waiting.until_due(never)
        waiting.take()
        waiting.settle(held=1)
        for number in range(company - 1):
            waiting.join(arriving(f"b{number}"), ())
        waiting.stir()
        started = now()
        await waiting.until_due(never)
        return now() - started

    assert jump(story()) == pytest.approx(waited)


@pytest.mark.parametrize("after", [0.0, 0.004], ids=["before the window", "in the window"])
def test_room_ends_the_wait_for_company(after: float) -> None:
    async def story() -> float:
        waiting = line()
        waiting.join(arriving("a"), ())
        await waiting.until_due(never)
        waiting.take()
        waiting.settle(held=1)
        waiting.stir()
        started = now()
        if after:
            asyncio.get_running_loop().call_later(after, waiting.room)
        else:
            waiting.room()
        await waiting.until_due(never)
        waited = now() - started
        waiting.take()
        waiting.stir()
        await waiting.until_due(never)  # the next newcomer waits for company again
        assert now() - started == pytest.approx(waited + 0.010)
        return waited

    assert jump(story()) == pytest.approx(after)


def test_whoever_ran_out_of_time_is_told_and_nobody_else() -> None:
    async def story() -> tuple[float, str, bool]:
        waiting, started = line(), now()
        late = waiting.join(arriving("late", patience=3.0), ())
        patient = waiting.join(arriving("patient"), ())
        await waiting.until_due(never)
        waiting.take()
        await waiting.until_due(never)
        with pytest.raises(NoHeadroomError) as caught:
            await late.placed
        return now() - started, caught.value.message, patient.placed.done()

    assert jump(story()) == (3.0, "no room for 3.0 s", False)


def test_whoever_may_not_wait_at_all_is_looked_at_once() -> None:
    async def story() -> tuple[list[str], str]:
        waiting = line()
        waiter = waiting.join(arriving("a", patience=0.0), ())
        await waiting.until_due(never)
        taken = names(waiting.take())
        waiting.settle(held=1)
        await waiting.until_due(never)
        with pytest.raises(NoHeadroomError) as caught:
            await waiter.placed
        return taken, caught.value.message

    assert jump(story()) == (["a"], "no room for 0.0 s")


def test_what_the_last_batch_met_is_no_reason_to_refuse_whoever_comes_alone_later() -> None:
    async def story() -> list[str]:
        waiting = line(pace=1.0)
        held = waiting.join(arriving("held"), ())
        waiting.take()
        waiting.settle(held=1)
        waiting.leave(held)
        waiting.join(arriving("later", patience=0.5), ())
        return names(waiting.take())

    assert jump(story()) == ["later"]


def test_the_line_wakes_when_something_outside_changes_by_itself() -> None:
    async def story() -> float:
        waiting, started = line(), now()
        waiting.join(arriving("a"), ())
        await waiting.until_due(never)
        await waiting.until_due(lambda _: started + 7.0)
        return now() - started

    assert jump(story()) == 7.0


def test_a_full_line_refuses() -> None:
    async def story() -> int:
        waiting = line(max_size=2)
        waiting.join(arriving("a"), ())
        leaving = waiting.join(arriving("b"), ())
        with pytest.raises(NoHeadroomError):
            waiting.join(arriving("c"), ())
        waiting.leave(leaving)
        waiting.leave(leaving)
        waiting.join(arriving("c"), ())
        return len(waiting)

    assert jump(story()) == 2


def test_whoever_failed_elsewhere_comes_first_and_a_full_line_has_room_for_it() -> None:
    async def story() -> list[str]:
        waiting = line(max_size=2, pace=10.0)
        failed = arriving("failed", patience=9.0)
        failed.attempts.append(Attempt("m-1", "failed"))
        for name in ("a", "b"):
            waiting.join(arriving(name, patience=5.0), ())
        waiting.join(failed, ())
        return names(waiting.take())

    assert jump(story()) == ["failed", "a", "b"]


def test_keys_take_turns_whoever_came_first() -> None:
    async def story() -> list[list[str]]:
        waiting = line(window=Window(0.010, 2))
        for number in range(8):
            waiting.join(arriving(f"greedy{number}", key="greedy"), ())
        waiting.join(arriving("a", key="modest"), ())
        batches = []
        for _ in range(3):
            batches.append(names(batch := waiting.take()))
            for waiter in batch:
                waiter.placed.set_result("slot")
                waiting.leave(waiter)
        return batches

    assert jump(story()) == [["greedy0", "a"], ["greedy1", "greedy2"], ["greedy3", "greedy4"]]


def test_of_one_key_whoever_is_due_first_comes_first() -> None:
    async def story() -> list[str]:
        waiting = line()
        for name, patience in (("patient", 9.0), ("hurried", 1.0), ("between", 5.0)):
            waiting.join(arriving(name, patience=patience), ())
        return names(waiting.take())

    assert jump(story()) == ["hurried", "between", "patient"]


def test_a_full_line_sends_away_whose_turn_comes_last() -> None:
    async def story() -> tuple[list[str], str, float | None]:
        waiting = line(max_size=3)
        greedy = [waiting.join(arriving(f"greedy{number}", key="greedy"), ()) for number in range(3)]
        waiting.join(arriving("modest", key="modest"), ())
        with pytest.raises(NoHeadroomError) as caught:
            await greedy[2].placed
        with pytest.raises(NoHeadroomError):
            waiting.join(arriving("low", priority=-1), ())
        waiting.join(arriving("high", priority=1), ())
        return names(waiting.take()), caught.value.message, caught.value.retry_after

    taken, message, retry_after = jump(story())
    assert taken == ["high", "greedy0", "modest"]
    assert message == "3 queries are waiting already"
    assert retry_after == 1 + 3  # two of its own key came before it, and the other key's


def test_whoever_cannot_make_it_is_told_at_once_where_somebody_waits_already() -> None:
    async def story() -> tuple[list[str], list[str]]:
        waiting, gone = line(pace=1.0, window=Window(0.010, 9)), []
        waiting.join(arriving("first", patience=0.5), ())  # nobody is held: there may be room
        waiting.take()
        waiting.settle(held=1)
        others = [("a", 3.0, "m"), ("b", 2.5, "m"), ("elsewhere", 2.5, "other"), ("late", 3.5, "m"), ("c", 4.5, "m")]
        for name, patience, model in others:
            try:
                waiting.join(arriving(name, patience=patience, models=(model,)), ())
            except NoHeadroomError:
                gone.append(name)
        return gone, names(waiting.take())

    assert jump(story()) == (["late"], ["first", "b", "elsewhere", "a", "c"])


def test_whoever_has_gone_is_not_taken() -> None:
    async def story() -> list[str]:
        waiting = line()
        gone = waiting.join(arriving("gone"), ())
        waiting.join(arriving("here"), ())
        gone.placed.cancel()
        return names(waiting.take())

    assert jump(story()) == ["here"]


def test_held_queries_are_announced_until_nobody_is_held() -> None:
    async def story() -> list[bool]:
        waiting, heard = line(), []
        for held in (0, 2, 0):
            waiting.settle(held)
            announced = False
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await waiting.someone_held()
                    announced = True
            heard.append(announced)
        return heard

    assert jump(story()) == [False, True, False]
