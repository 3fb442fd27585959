"""When an upstream is late, and when it only seems so, on a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from gateway.domain import Timeouts
from gateway.upstream.guard import Guard
from tests.clock import jump

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clock import JumpingLoop

TIMEOUTS = Timeouts(connect=1, first_byte=4, idle=2, total=30)


def loop() -> JumpingLoop:
    return cast("JumpingLoop", asyncio.get_running_loop())


def guarded() -> Guard:
    return Guard(TIMEOUTS, loop().time, stream=True)


async def late_after(meanwhile: Callable[[Guard], object], awaited: asyncio.Event | None = None) -> float | None:
    """Seconds until the guard cancels whoever waits for the upstream; None: it came before."""
    started, guard = loop().time(), guarded()
    meanwhile(guard)
    try:
        await (awaited or asyncio.Event()).wait()
    except asyncio.CancelledError:
        assert guard.stop(asyncio.CancelledError)
        return loop().time() - started
    assert not guard.stop(None)
    return None


@pytest.mark.parametrize(
    ("meanwhile", "seconds"),
    [
        (lambda _: None, 1.0),
        (lambda guard: guard.connected(), 4.0),
        (lambda guard: guard.allow(2), 2.0),
        (lambda guard: guard.allow(None), 30.0),
    ],
    ids=["connecting", "the first byte", "the next byte", "the whole answer"],
)
def test_each_part_of_an_answer_has_its_own_time(meanwhile: Callable[[Guard], object], seconds: float) -> None:
    assert jump(late_after(meanwhile)) == pytest.approx(seconds)


def test_what_came_while_the_loop_was_held_up_is_read_before_anybody_is_called_late() -> None:
    async def story() -> float | None:
        come = asyncio.Event()

        def held_up() -> None:
            loop().hold_up(5.0)
            loop().call_soon(loop().call_soon, come.set)  # timers come first

        return await late_after(lambda _: loop().call_soon(held_up), come)

    assert jump(story()) is None


def test_whoever_stays_silent_after_that_is_late_all_the_same() -> None:
    async def story() -> float | None:
        return await late_after(lambda _: loop().call_soon(loop().hold_up, 5.0))

    assert jump(story()) == pytest.approx(5.0 + 4.0)  # the timer rang four seconds late
