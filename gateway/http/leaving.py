"""A client that leaves takes its work with it, in that moment. Its connection tells; nothing waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

LEAVING: Final = "paretogate.leaving"  # among an ASGI scope's extensions: a Door


class Door(Protocol):
    """What the server knows of one request's client."""

    def watch(self, told: Callable[[], None] | None) -> bool:
        """Has `told` called when the client leaves before its answer has ended; None: nobody. Whether it has left."""


class ClientGoneError(Exception):
    """The client has left; nobody is there to be told."""


class WhileThere:
    """Cancels its task in the moment in which the client leaves, and says so in its place.

    ASGI has a client's leaving received by a task that waits for it. Most answers last longer than it takes to notice
    a leaving in time, so most would need that task, and it costs as much as the rest of reading a request.

    Raises:
        ClientGoneError: the client has left.
    """

    __slots__ = ("_before", "_door", "_gone", "_task")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are served in tasks")
        self._task = task
        self._door: Door = scope["extensions"][LEAVING]
        self._before = task.cancelling()
        self._gone = False

    def __enter__(self) -> Self:
        if self._door.watch(self._leave):
            raise ClientGoneError
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.watch(None)
        if self._gone and self._task.uncancel() <= self._before:
            raise ClientGoneError from error

    def _leave(self) -> None:
        self._gone = True
        self._task.cancel()
