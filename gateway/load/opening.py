"""Where load is kept, as the configuration says: in this process, or in a Redis that replicas share."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.load.memory import MemoryLoadBook
from gateway.load.redis import BUDGET_S, RedisLoadBook
from gateway.load.redis_loops import RedisLoops
from gateway.load.sums import MemorySums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gateway.domain import Capacity
    from gateway.load.base import LoadBook
    from gateway.load.redis_loops import SharedLoops
    from gateway.load.sums import SumsStore
    from gateway.metrics.load import Sharing
    from gateway.settings.service import LoadSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """What replicas may share."""

    book: LoadBook
    sums: SumsStore
    loops: SharedLoops | None  # None: this process remembers for itself


@asynccontextmanager
async def opened(
    settings: LoadSettings, capacities: Mapping[str, Capacity], now: Callable[[], float], observer: Sharing
) -> AsyncIterator[Stores]:
    """The stores, open until the block ends."""
    url = settings.redis.get_secret_value()
    if not url:
        observer.sharing(shared=True)
        yield Stores(MemoryLoadBook(capacities, now), MemorySums(), None)
        return
    async with AsyncExitStack() as stack:
        book = RedisLoadBook(capacities, url, now, prefix=settings.prefix, lease_s=settings.lease_s, observer=observer)
        loops = RedisLoops(url, settings.prefix, BUDGET_S, now)
        yield Stores(await stack.enter_async_context(book), book.sums, await stack.enter_async_context(loops))
