"""Configurations in the order in which they came: the newest takes what is new, those before end with their queries."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.generation import Generation
    from gateway.house import House


class Succession:
    """The only owner of what serves. Each generation lives in a task of its own."""

    def __init__(self, house: House, group: asyncio.TaskGroup) -> None:
        self._house = house
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._living: list[Generation] = []

    async def take_up(self, made: Generation) -> None:
        """Starts it, and has the one before it end with its last query.

        Raises:
            GatewayError: it could not start; everything is as it was.
        """
        before = self._living[-1] if self._living else None
        fleet = made.fleet
        kinds = {endpoint.model: endpoint.kind.value for endpoint in fleet.endpoints}
        names = [*fleet.routes, *fleet.model_index]
        self._house.metrics.know(names, fleet.endpoint_index, kinds, [key.name for key in made.keyring])
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._group.create_task(self._live(made, before, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await ready
        if before is not None:
            before.retired.set()

    def end(self) -> None:
        """All of them, whoever is still served."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _live(self, made: Generation, before: Generation | None, ready: asyncio.Future[None]) -> None:
        """From its start to the end of its last query."""
        try:
            async with made.running(self._house, before):
                self._living.append(made)
                self._share_out()
                ready.set_result(None)
                await made.ended()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)  # whoever asked for it is told
        finally:
            if made in self._living:
                self._living.remove(made)
                self._share_out()
                left = {name for each in self._living for name in each.fleet.endpoint_index}
                self._house.metrics.endpoints.gone(made.fleet.endpoint_index.keys() - left)

    def _share_out(self) -> None:
        """The book has the endpoints of all that live, with the newest one's limits."""
        capacities = {endpoint.name: endpoint.capacity for each in self._living for endpoint in each.fleet.endpoints}
        if capacities:
            self._house.stores.book.reconfigure(capacities)


@asynccontextmanager
async def succession(house: House, first: Generation) -> AsyncIterator[Succession]:
    """Serves by the first generation, and by those that are taken up, until the block ends."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        its = Succession(house, group)
        try:
            await its.take_up(first)
            yield its
        except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
            failure = error
        finally:
            its.end()
    if failure is not None:
        raise failure
