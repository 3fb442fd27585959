"""The money that a run may spend: reserved before a request at the most that it can cost, settled by what it did."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class BudgetReachedError(Exception):
    """The next request could cost more than is left. The run ends well, and says so."""


class Bill:
    """What one request came to; set it inside the purse's block. A request that failed costs nothing."""

    usd: float = 0.0


class Purse:
    """Spent and reserved never exceed the limit together, so long as `max_tokens` is kept to.

    Args:
        limit: USD, those of earlier runs included.
        spent: USD, by earlier runs.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self.reached = False
        self._reserved = 0.0
        self._open = 0
        self._settled = asyncio.Condition()

    @asynccontextmanager
    async def paying(self, most: float) -> AsyncIterator[Bill]:
        """Reserves for one request. Where only what is in flight stands in the way, its end is waited for.

        Raises:
            BudgetReachedError: there is not enough left.
        """
        async with self._settled:
            await self._settled.wait_for(lambda: self._fits(most) or not self._open)
            if not self._fits(most):
                self.reached = True
                raise BudgetReachedError
            self._reserved += most
            self._open += 1
        bill = Bill()
        try:
            yield bill
        finally:
            self._reserved -= most
            self._open -= 1
            self.spent += bill.usd
            async with self._settled:
                self._settled.notify_all()

    def _fits(self, most: float) -> bool:
        return not most or self.spent + self._reserved + most <= self.limit
