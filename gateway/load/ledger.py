"""The leases of one process and what follows from them. Plain synchronous code, handed the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.core.rates import RateWindow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import Capacity
    from gateway.load.base import Claim

FOREVER = float("inf")
NO_LIMIT = int(UNLIMITED)


class Lease:
    """One held slot, as the ledger keeps it."""

    __slots__ = ("account", "expires_at", "rate_slice", "tokens")

    def __init__(self, account: Account, tokens: int, expires_at: float) -> None:
        self.account = account
        self.tokens = tokens
        self.rate_slice = 0
        self.expires_at = expires_at


class Account:
    """One endpoint: its limits and the sums over its leases."""

    __slots__ = ("endpoint", "kv", "kv_limit", "requests", "slots", "slots_limit", "tokens")

    def __init__(self, endpoint: str, capacity: Capacity) -> None:
        self.endpoint = endpoint
        self.slots = 0
        self.kv = 0
        self.requests: RateWindow | None = None
        self.tokens: RateWindow | None = None
        self.limit(capacity)

    def limit(self, capacity: Capacity) -> None:
        """Sets the limits; what is taken stays taken."""
        self.slots_limit = capacity.concurrency
        self.kv_limit = NO_LIMIT if capacity.kv_tokens is None else capacity.kv_tokens
        self.requests = _window(self.requests, capacity.requests_per_minute)
        self.tokens = _window(self.tokens, capacity.tokens_per_minute)

    def fits(self, tokens: int, now: float) -> bool:
        """Whether one more lease of that many tokens stays inside every limit."""
        return (
            self.slots < self.slots_limit
            and self.kv + tokens <= self.kv_limit
            and (self.requests is None or self.requests.left(now) >= 1)
            and (self.tokens is None or self.tokens.left(now) >= tokens)
        )

    def free(self, now: float) -> tuple[int, int, int, int]:
        """Slots, requests, tokens and KV, as in Headroom."""
        return (
            max(0, self.slots_limit - self.slots),
            NO_LIMIT if self.requests is None else self.requests.left(now),
            NO_LIMIT if self.tokens is None else self.tokens.left(now),
            NO_LIMIT if self.kv_limit == NO_LIMIT else max(0, self.kv_limit - self.kv),
        )


def _window(window: RateWindow | None, limit: int | None) -> RateWindow | None:
    if limit is None:
        return None
    if window is None:
        return RateWindow(limit)
    window.limit = limit
    return window


class Ledger:
    """Leases by id. With a `lease_s` each ends by itself that many seconds after it was taken."""

    def __init__(self, capacities: Mapping[str, Capacity], lease_s: float = FOREVER) -> None:
        self._lease_s = lease_s
        self._leases: dict[str, Lease] = {}  # in the order taken, which with one period is the order of expiry
        self._accounts: dict[str, Account] = {}
        self._retired: list[Account] = []
        self.endpoints: tuple[str, ...] = ()
        self.reconfigure(capacities)

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        """Other endpoints or limits. An account with leases outlives its endpoint, and returns with it."""
        known = self._accounts | {account.endpoint: account for account in self._retired}
        self._accounts = {}
        for endpoint, capacity in capacities.items():
            account = known.pop(endpoint, None)
            if account is None:
                account = Account(endpoint, capacity)
            else:
                account.limit(capacity)
            self._accounts[endpoint] = account
        self._retired = [account for account in known.values() if account.slots]
        self.endpoints = tuple(self._accounts)

    def __contains__(self, lease_id: str) -> bool:
        return lease_id in self._leases

    def take(self, claim: Claim, now: float) -> bool:
        """Takes the lease if it fits."""
        account = self._accounts.get(claim.endpoint)
        if account is None or claim.lease_id in self._leases or not account.fits(claim.tokens, now):
            return False
        self._add(account, claim, now)
        return True

    def drop(self, lease_id: str, used_tokens: int | None = None) -> Lease | None:
        """Ends the lease and puts the tokens really used in the place of the estimate; None when it is not held."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return None
        account = lease.account
        account.slots -= 1
        account.kv -= lease.tokens
        if used_tokens is not None and account.tokens is not None:
            account.tokens.correct(lease.rate_slice, used_tokens - lease.tokens)
        return lease

    def expire(self, now: float) -> int:
        """Ends the leases whose time is over; how many."""
        ended = 0
        while self._leases:
            lease_id, lease = next(iter(self._leases.items()))
            if lease.expires_at > now:
                break
            self.drop(lease_id)
            ended += 1
        return ended

    def changes_in(self, now: float) -> float:
        """Seconds until time alone makes room: a lease ends or a rate window turns. Infinite if it never will."""
        first = next(iter(self._leases.values()), None)
        soonest = FOREVER if first is None else first.expires_at - now
        for account in self._accounts.values():
            for window in (account.requests, account.tokens):
                if window is not None:
                    soonest = min(soonest, window.turns_in(now))
        return max(0.0, soonest)

    def headroom(self, now: float) -> Headroom:
        """What is free, (E,) each."""
        rows = [account.free(now) for account in self._accounts.values()]
        return Headroom(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)

    def held(self) -> dict[str, int]:
        """Leases per endpoint; of the endpoints that are gone, those that still have some."""
        self._retired = [account for account in self._retired if account.slots]
        return {account.endpoint: account.slots for account in (*self._accounts.values(), *self._retired)}

    def _add(self, account: Account, claim: Claim, now: float) -> None:
        lease = Lease(account, claim.tokens, now + self._lease_s)
        self._leases[claim.lease_id] = lease
        account.slots += 1
        account.kv += claim.tokens
        if account.requests is not None:
            account.requests.take(1, now)
        if account.tokens is not None:
            lease.rate_slice = account.tokens.take(claim.tokens, now)
