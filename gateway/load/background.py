"""Tasks that live as long as a block."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


@asynccontextmanager
async def background(*endless: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs them beside the block and ends them with it. If one of them fails, so does the block.

    What the block itself raises comes out as it was, and not as part of a group.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(task) for task in endless]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the block's own, raised below
            failure = error
        finally:
            for task in tasks:
                task.cancel()
    if failure is not None:
        raise failure
