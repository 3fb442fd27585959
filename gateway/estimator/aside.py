"""A thread beside the loop that does one piece of work after another."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LAST_S: Final = 5.0  # that a process waits at its end for work under way: native code does not survive the interpreter


class Aside:
    """An executor's futures take three times as long to come back, and that is a tenth of a prediction.

    The thread ends with `close`, once what it is at is done, or with its process.
    """

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._given = self._done = 0  # pieces of work; the loop counts the one, the thread the other
        self._thread = Thread(target=self._work, name=name, daemon=True)

    @property
    def idle(self) -> bool:
        """Whether it is at nothing, nor has anything to do; what nobody waits for any more may still be under way."""
        return self._given == self._done

    async def do(self, work: Callable[[], T], within_s: float) -> T:
        """What the work returns. It is not begun when nobody waits for it any more.

        Raises:
            TimeoutError: it has not been done in this time.
            Exception: whatever the work raises.
        """
        if not self._thread.ident:
            self._thread.start()
            atexit.register(self._last)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        alarm = loop.call_later(within_s, _tell, done, None, TimeoutError())
        self._given += 1
        self._queue.put((done, work))
        try:
            return await done
        finally:
            alarm.cancel()

    def close(self) -> None:
        self._queue.put(None)

    def _last(self) -> None:
        self.close()
        self._thread.join(LAST_S)

    def _work(self) -> None:
        while self._next():
            pass
        atexit.unregister(self._last)

    def _next(self) -> bool:
        """Does the next piece of work; False when there will be none."""
        piece = self._queue.get()
        if piece is None:
            return False
        done, work = piece
        result, error = None, None
        try:
            result = None if done.done() else work()
        except Exception as caught:  # noqa: BLE001 - whoever waits for it is told
            error = caught
        self._done += 1
        with suppress(RuntimeError):  # the loop has closed, and whoever waited has gone with it
            done.get_loop().call_soon_threadsafe(_tell, done, result, error)
        return True


def _tell(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
