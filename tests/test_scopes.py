"""What is left is left as contextlib's stack leaves it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    Told = list[tuple[int, str]]

WELL, FAILS, CALLED = "well", "fails", "called"  # what a scope does on leaving; CALLED is no scope but a last call


@asynccontextmanager
async def scope(number: int, kind: str, told: Told) -> AsyncIterator[int]:
    seen = "none"
    try:
        yield number
    except BaseException as error:
        seen = str(error)
        raise
    finally:
        told.append((number, seen))
        if kind == FAILS:
            raise RuntimeError(f"scope {number}")


async def with_stack(kinds: Sequence[str], told: Told, *, fails: bool, hands_on: bool) -> None:
    async def called(number: int) -> None:
        told.append((number, CALLED))

    async with AsyncExitStack() as stack:
        for number, kind in enumerate(kinds):
            if kind == CALLED:
                stack.push_async_callback(called, number)
            else:
                assert await stack.enter_async_context(scope(number, kind, told)) == number
        rest = stack.pop_all() if hands_on else stack
        async with rest:
            if fails:
                raise ValueError("inside")


async def with_scopes(kinds: Sequence[str], told: Told, *, fails: bool, hands_on: bool) -> None:
    async def called(number: int) -> None:
        told.append((number, CALLED))

    async with Scopes() as scopes:
        for number, kind in enumerate(kinds):
            if kind == CALLED:
                scopes.before_that(partial(called, number))
            else:
                assert await scopes.enter(scope(number, kind, told)) == number
        rest = scopes.handed_on() if hands_on else scopes
        async with rest:
            if fails:
                raise ValueError("inside")


@given(st.lists(st.sampled_from([WELL, FAILS, CALLED]), max_size=5), st.booleans(), st.booleans())
def test_it_leaves_as_contextlib_does(kinds: list[str], fails: bool, hands_on: bool) -> None:  # noqa: FBT001 - drawn
    seen = []
    for way in (with_stack, with_scopes):
        told: Told = []
        error: BaseException | None = None
        try:
            asyncio.run(way(kinds, told, fails=fails, hands_on=hands_on))
        except (ValueError, RuntimeError) as raised:
            error = raised
        seen.append((told, type(error), str(error)))
    assert seen[0] == seen[1]


async def test_what_cannot_be_entered_is_not_left() -> None:
    told: Told = []

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise LookupError("no door")
        yield

    async def enter_both() -> None:
        async with Scopes() as scopes:
            await scopes.enter(scope(0, WELL, told))
            await scopes.enter(broken())

    with pytest.raises(LookupError):
        await enter_both()
    assert told == [(0, "no door")]
