"""What callers with keys spend, have left, and are refused. The label is the configured name, never the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import BudgetSpentError, InvalidKeyError, PermissionDeniedError, RateLimitError
from gateway.metrics.answers import OTHER
from gateway.metrics.tally import Across, Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import GatewayError
    from gateway.metrics.tally import Number, Tally

REASONS: Final[dict[type[GatewayError], str]] = {
    InvalidKeyError: "unknown",
    PermissionDeniedError: "permission",
    RateLimitError: "rate",
    BudgetSpentError: "budget",
}


class KeyInstruments:
    """By key."""

    def __init__(self, tally: Tally, names: Iterable[str]) -> None:
        spend = Counter("paretogate_key_spend_usd", "Actual cost of answers, by key", ["key"], tally=tally)
        self._spend_by_key = spend
        self._spend: dict[str, Number] = {}
        self.know(names)
        self._remaining = Gauge(
            "paretogate_key_remaining_usd",
            "What is left of a key's budget, reservations taken off, as last heard",
            ["key"],
            tally=tally,
            across=Across.LEAST,
        )
        self._rejections = Counter(
            "paretogate_key_rejections", "Requests refused, by key and reason", ["key", "reason"], tally=tally
        )

    def know(self, names: Iterable[str]) -> None:
        """These are configured now, too."""
        self._spend.update((name, self._spend_by_key.labels(name)) for name in names)

    def spent(self, key: str, usd: float) -> None:
        """A query has been settled. Without keys its `key` is a name of nobody's here."""
        child = self._spend.get(key)
        if child is not None:
            child.inc(usd)

    def remaining(self, key: str, usd: float) -> None:
        self._remaining.labels(key).set(usd)

    def refused(self, key: str, error: GatewayError) -> None:
        """A request was refused; what is no matter of its key is not counted here."""
        reason = REASONS.get(type(error))
        if reason is not None:
            self._rejections.labels(key if key in self._spend else OTHER, reason).inc()
