"""What a key may still use: requests and tokens of the last minute, and money of a day or month. Plain and timeless."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Final

from gateway.core.problem import NANO
from gateway.core.rates import RateWindow
from gateway.domain import Span

if TYPE_CHECKING:
    from gateway.domain import Key

SPANS: Final = {Span.DAY: "%Y-%m-%d", Span.MONTH: "%Y-%m"}
RECORD: Final = 100  # last answers of a model that a reservation looks back at
COLD: Final = 4.0  # times what was expected: what the dearest answer may have cost before any is known
MARGIN: Final = 1.1  # over the dearest of them


class Limit(StrEnum):
    """What is used up."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Use:
    """What a query takes of its key's allowance, or is to take."""

    requests: int = 0
    tokens: int = 0
    nano: int = 0  # nano-dollars


@dataclass(frozen=True, slots=True)
class Left:
    """What remains of each limit; None: there is none."""

    requests: int | None
    tokens: int | None
    nano: int | None  # of the budget, nano-dollars


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken, and where it was put down."""

    key: str
    span: str
    slice: int  # of the rates
    use: Use


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one wish: taken, or what is used up and in how many seconds there may be enough of it."""

    left: Left
    taken: Taken | None = None
    refused: Limit | None = None
    wait_s: float = 0.0


def span_of(key: Key, wall: float) -> str:
    """The day or month that a budget counts in, at this time (seconds since the epoch)."""
    return datetime.fromtimestamp(wall, UTC).strftime(SPANS[key.budget.per]) if key.budget else ""


def budget_of(key: Key) -> int:
    """Nano-dollars."""
    return round(key.budget.usd * NANO) if key.budget else 0


class Tally:
    """What one key has used, as far as one process knows. Alone it takes one share of every limit, of so many."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.span = ""
        self.spent = 0  # nano-dollars of the span, reservations included, by everybody as last heard
        self._own = 0  # of it, since `alone`
        self._shares = 1
        self._requests: RateWindow | None = None
        self._tokens: RateWindow | None = None
        self.limit(key)

    def limit(self, key: Key) -> None:
        """Other limits from now on; what was used stays used."""
        self.key = key
        self._requests = _window(self._requests, key.requests_per_minute, self._shares)
        self._tokens = _window(self._tokens, key.tokens_per_minute, self._shares)

    def alone(self, shares: int) -> None:
        """From now on it decides by itself, and so do others: each has one of so many shares."""
        self._shares, self._own = shares, 0
        self.limit(self.key)

    def heard(self, span: str, spent: int) -> None:
        """What everybody has spent; of a span that is over it does not matter."""
        if span >= self.span:
            self.span, self.spent = span, spent

    def adjust(self, span: str, nano: int) -> None:
        """What it has heard does not contain this yet."""
        if span == self.span:
            self.spent = max(0, self.spent + nano)

    def take(self, use: Use, now: float, span: str) -> Verdict:
        """Takes it if all of it is there."""
        self._turn(span)
        refused, wait_s = self._check(use, now)
        if refused is not None:
            return Verdict(self.left(now, span), refused=refused, wait_s=wait_s)
        taken = self.add(use, now, span)
        return Verdict(self.left(now, span), taken)

    def add(self, use: Use, now: float, span: str) -> Taken:
        """Takes it whether or not it is there."""
        self._turn(span)
        number = 0
        if self._requests is not None and use.requests:
            self._requests.take(use.requests, now)
        if self._tokens is not None and use.tokens:
            number = self._tokens.take(use.tokens, now)
        self.spent += use.nano
        self._own += use.nano
        return Taken(self.key.name, span, number, use)

    def correct(self, taken: Taken, used: Use) -> None:
        """Puts what was used in the place of what was taken."""
        if self._tokens is not None and taken.use.tokens:
            self._tokens.correct(taken.slice, used.tokens - taken.use.tokens)
        if taken.span == self.span:
            difference = used.nano - taken.use.nano
            self.spent, self._own = max(0, self.spent + difference), self._own + difference

    def left(self, now: float, span: str) -> Left:
        self._turn(span)
        return Left(
            None if self._requests is None else self._requests.left(now),
            None if self._tokens is None else self._tokens.left(now),
            None if self.key.budget is None else max(0, budget_of(self.key) - self.spent),
        )

    def _check(self, use: Use, now: float) -> tuple[Limit | None, float]:
        for limit, window, amount in (
            (Limit.REQUESTS, self._requests, use.requests),
            (Limit.TOKENS, self._tokens, use.tokens),
        ):
            if window is not None:
                wanted = min(amount, window.limit)  # what is larger than the limit may come when nothing else does
                if window.left(now) < wanted:
                    return limit, window.room_in(wanted, now)
        if self.key.budget is not None:
            share = (budget_of(self.key) - (self.spent - self._own)) // self._shares
            if self._own + max(1, use.nano) > share:
                return Limit.BUDGET, 0.0
        return None, 0.0

    def _turn(self, span: str) -> None:
        if span > self.span:
            self.span, self.spent, self._own = span, 0, 0


def _window(window: RateWindow | None, limit: int | None, shares: int) -> RateWindow | None:
    if limit is None:
        return None
    limit = -(-limit // shares)
    if window is None:
        return RateWindow(limit)
    window.limit = limit
    return window


class Caution:
    """How much dearer than expected the dearest answers of each model have been.

    A reservation is to be enough for nearly every single answer, not on average: the answers that are still in flight
    when a budget ends are the long ones, and what each costs beyond its reservation is overspent.
    """

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = {}

    def reservation(self, model: str, expected_usd: float) -> int:
        """What to set aside for one answer, nano-dollars."""
        return ceil(expected_usd * MARGIN * max(self._record(model)) * NANO)

    def learn(self, model: str, expected_usd: float, actual_usd: float) -> None:
        if expected_usd > 0:
            self._record(model).append(max(1.0, actual_usd / expected_usd))

    def _record(self, model: str) -> deque[float]:
        return self._ratios.setdefault(model, deque((COLD,), maxlen=RECORD))
