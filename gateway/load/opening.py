"""Where load is kept, as the configuration says: in this process, or in a Redis that replicas share."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.load.allowance import MemoryAllowances
from gateway.load.doubt import Doubt
from gateway.load.kept_sums import KeptSums
from gateway.load.memory import MemoryLoadBook
from gateway.load.sums import MemorySums

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gateway.domain import Capacity
    from gateway.load.allowance import AllowanceBook
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
    allowances: AllowanceBook
    loops: SharedLoops | None  # None: this process remembers for itself


@asynccontextmanager
async def opened(
    settings: LoadSettings,
    capacities: Mapping[str, Capacity],
    now: Callable[[], float],
    wall: Callable[[], float],
    observer: Sharing,
) -> AsyncIterator[Stores]:
    """The stores, open until the block ends."""
    url = settings.redis.get_secret_value()
    if not url:
        observer.sharing(shared=True)
        async with _sums_at(settings.sums) as sums:
            yield Stores(MemoryLoadBook(capacities, now), sums, MemoryAllowances(now, wall), None)
        return
    # the client takes 50 ms to load: only for who shares
    from gateway.load.redis import RedisLoadBook  # noqa: PLC0415
    from gateway.load.redis_allowance import RedisAllowances  # noqa: PLC0415
    from gateway.load.redis_loops import RedisLoops  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        prefix, budget_s = settings.prefix, settings.answer_ms / 1000
        doubt = Doubt()
        book = RedisLoadBook(
            capacities,
            url,
            now,
            prefix=prefix,
            lease_s=settings.lease_s,
            budget_s=budget_s,
            observer=observer,
            doubt=doubt,
        )
        allowances = RedisAllowances(
            url, now, wall, prefix=prefix, budget_s=budget_s, replicas=lambda: book.replicas, doubt=doubt
        )
        yield Stores(
            await stack.enter_async_context(book),
            book.sums,
            await stack.enter_async_context(allowances.running()),
            await stack.enter_async_context(RedisLoops(url, prefix, budget_s, now)),
        )


@asynccontextmanager
async def _sums_at(path: str) -> AsyncIterator[SumsStore]:
    if not path:
        yield MemorySums()
        return
    kept = KeptSums(Path(path))
    async with kept.running():
        yield kept
