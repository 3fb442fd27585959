"""A TCP proxy that can be told to hand on every answer late, or another one instead."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SlowProxy:
    """Carries connections to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.late_s = 0.0
        self.instead = b""  # for every answer
        self._carrying = 0
        self.refuse = False  # closes every connection, those that are there too

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """The port to connect to instead."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
        while self._carrying:  # noqa: ASYNC110 - whoever was served has gone: a matter of a few turns of the loop
            await asyncio.sleep(0)

    async def _carry(self, asked: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        self._carrying += 1
        try:
            await self._hand_on(asked, asking)
        finally:
            asking.close()
            self._carrying -= 1

    async def _hand_on(self, asked: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        if self.refuse:
            asking.transport.abort()
            return
        with suppress(OSError):  # either side may go when it likes
            answers, questions = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                async with asyncio.TaskGroup() as group:
                    back = group.create_task(self._back(answers, asking))
                    while (piece := await asked.read(65536)) and not self.refuse:
                        questions.write(piece)
                    back.cancel()
            except* OSError:
                pass
            questions.close()

    async def _back(self, answers: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        while piece := await answers.read(65536):
            asyncio.get_running_loop().call_later(self.late_s, asking.write, self.instead or piece)
        asking.close()
