"""What one attempt at an answer holds, as scopes that are entered one by one and left in the other order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    Leave = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], Awaitable[object]]

T = TypeVar("T")


class Scopes:
    """`contextlib.AsyncExitStack` at a quarter of its CPU, which is a fortieth of all that a pinned query takes.

    For scopes that swallow no error.
    """

    __slots__ = ("_leaves",)

    def __init__(self) -> None:
        self._leaves: list[Leave] = []

    async def enter(self, scope: AbstractAsyncContextManager[T]) -> T:
        """What the scope gives. It is left with all the others."""
        entered = await scope.__aenter__()
        self._leaves.append(scope.__aexit__)
        return entered

    def before_that(self, call: Callable[[], Awaitable[object]]) -> None:
        """Awaits this on leaving, before the scopes that have been entered so far are left."""

        async def leave(*_: object) -> None:
            await call()

        self._leaves.append(leave)

    def handed_on(self) -> Scopes:
        """All of them, for another to leave; leaving this one does nothing then."""
        other = Scopes()
        other._leaves, self._leaves = self._leaves, other._leaves
        return other

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._leaves:
            return
        leave = self._leaves.pop()
        try:
            await leave(kind, error, trace)
        except BaseException as another:
            await self.__aexit__(type(another), another, another.__traceback__)
            raise
        await self.__aexit__(kind, error, trace)
