"""What callers with limits may still do: asked before a query is decided, and again when its price is known."""

from __future__ import annotations

from contextlib import asynccontextmanager
from math import ceil
from typing import TYPE_CHECKING, Final

from gateway.core.allowance import Caution, Limit, Use
from gateway.core.problem import NANO
from gateway.errors import BudgetSpentError, RateLimitError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core.allowance import Left, Verdict
    from gateway.core.decision import Decision
    from gateway.domain import Key
    from gateway.load.allowance import AllowanceBook

ONE_QUERY: Final = Use(requests=1)


class Spending:
    """Of all keys. Those without limits need not come here."""

    def __init__(self, book: AllowanceBook) -> None:
        self._book = book
        self._caution = Caution()

    def left(self, key: Key) -> Left:
        """As far as is known here."""
        return self._book.left(key)

    async def admit(self, key: Key) -> None:
        """Takes one query of the key's rate, if it has anything left at all.

        Raises:
            RateLimitError: it has not, for the moment.
            BudgetSpentError: it has not, until its budget begins anew.
        """
        refuse(key, await self._book.take(key, ONE_QUERY))

    @asynccontextmanager
    async def reserve(self, key: Key, decision: Decision) -> AsyncIterator[None]:
        """Sets aside what the answer may cost where it is to be sent. Leaving puts what it did cost in its place.

        Raises:
            GatewayError: as `admit`; on entering.
        """
        expected, model = decision.expected, decision.model
        nano = self._caution.reservation(model, expected.cost_usd) if key.budget else 0
        verdict = await self._book.take(key, Use(tokens=ceil(expected.tokens), nano=nano))
        refuse(key, verdict, nano)
        try:
            yield
        finally:
            if verdict.taken is not None:
                self._book.correct(verdict.taken, _used(decision))
            if decision.cost_usd is not None:
                self._caution.learn(model, expected.cost_usd, decision.cost_usd)


def _used(decision: Decision) -> Use:
    """Nothing, when no answer came: an endpoint that fails is not known to charge for it."""
    usage, cost_usd = decision.usage, decision.cost_usd
    if usage is None or cost_usd is None:
        return Use()
    return Use(tokens=usage.input_tokens + usage.output_tokens, nano=round(cost_usd * NANO))


def refuse(key: Key, verdict: Verdict, wanted_nano: int = 0) -> None:
    """Raises what a refusal means; a wish that was granted passes."""
    limit = verdict.refused
    if limit is None:
        return
    if limit is Limit.BUDGET:
        left = (verdict.left.nano or 0) / NANO
        need = f"; this query may cost {wanted_nano / NANO:.6f} USD and {left:.6f} are left" if wanted_nano else ""
        per, usd = (key.budget.per.value, key.budget.usd) if key.budget else ("", 0.0)
        raise BudgetSpentError(f"the key {key.name!r} has spent its budget of {usd:g} USD for this {per}{need}")
    most = key.requests_per_minute if limit is Limit.REQUESTS else key.tokens_per_minute
    left_now = verdict.left.requests if limit is Limit.REQUESTS else verdict.left.tokens
    message = f"the key {key.name!r} may use {most} {limit} in a minute; there is room in {verdict.wait_s:.1f} s"
    raise RateLimitError(
        message,
        retry_after=verdict.wait_s,
        rates={
            f"limit-{limit}": str(most),
            f"remaining-{limit}": str(left_now),
            f"reset-{limit}": f"{verdict.wait_s:.3f}s",
        },
    )
