"""The leases of one process and what follows from them. Plain synchronous code, handed the time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.core.rates import RateWindow
from gateway.load.base import Foreign, Remaining

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.domain import Capacity
    from gateway.load.base import Claim

FOREVER = float("inf")
NO_LIMIT = int(UNLIMITED)
NEVER = -1
NO_FOREIGN, NOT_SAID = Foreign(), Remaining()


class Lease:
    """One held slot, as the ledger keeps it."""

    __slots__ = ("account", "expires_at", "rate_slice", "shared_slice", "tokens")

    def __init__(self, account: Account, tokens: int, expires_at: float) -> None:
        self.account = account
        self.tokens = tokens
        self.expires_at = expires_at
        self.rate_slice = 0
        self.shared_slice = NEVER  # the same, by the clock of a shared book


class Account:
    """One endpoint: its limits, the sums over its leases, and what it reports of others."""

    __slots__ = (
        *("capacity", "endpoint", "foreign", "kv", "kv_limit", "remaining", "reported", "requests", "shared_free"),
        *("slots", "slots_limit", "tokens"),
    )

    def __init__(self, endpoint: str, capacity: Capacity, replicas: int) -> None:
        self.endpoint = endpoint
        self.slots = 0
        self.kv = 0
        self.requests: RateWindow | None = None
        self.tokens: RateWindow | None = None
        self.shared_free = 0  # slots that no replica held, as last heard
        self.reported = False  # whether foreign or remaining say anything
        self.foreign = NO_FOREIGN
        self.remaining = NOT_SAID
        self.limit(capacity, replicas)

    def limit(self, capacity: Capacity, replicas: int) -> None:
        """Sets the limits to an equal share of the capacity, rounded up; what is taken stays taken."""
        self.capacity = capacity
        self.slots_limit = -(-capacity.concurrency // replicas)
        self.kv_limit = NO_LIMIT if capacity.kv_tokens is None else -(-capacity.kv_tokens // replicas)
        self.requests = _window(self.requests, capacity.requests_per_minute, replicas)
        self.tokens = _window(self.tokens, capacity.tokens_per_minute, replicas)

    def fits(self, tokens: int, now: float) -> bool:
        """Whether one more lease of that many tokens stays inside every limit."""
        if self.reported:
            slots, requests, left, kv = self.free(now)
            return slots >= 1 and requests >= 1 and left >= tokens and kv >= tokens
        return (
            self.slots < self.slots_limit
            and self.kv + tokens <= self.kv_limit
            and (self.requests is None or self.requests.left(now) >= 1)
            and (self.tokens is None or self.tokens.left(now) >= tokens)
        )

    def free(self, now: float) -> tuple[int, int, int, int]:
        """Slots, requests, tokens and KV, as in Headroom."""
        if not self.reported and self.requests is None and self.tokens is None:  # most: a third of the price
            kv = NO_LIMIT if self.kv_limit == NO_LIMIT else max(0, self.kv_limit - self.kv)
            return max(0, self.slots_limit - self.slots), NO_LIMIT, NO_LIMIT, kv
        foreign, remaining = self._reports(now)
        requests = NO_LIMIT if self.requests is None else self.requests.left(now)
        tokens = NO_LIMIT if self.tokens is None else self.tokens.left(now)
        return (
            max(0, self.slots_limit - self.slots - foreign.slots),
            requests if remaining.requests is None else min(requests, remaining.requests),
            tokens if remaining.tokens is None else min(tokens, remaining.tokens),
            NO_LIMIT if self.kv_limit == NO_LIMIT else max(0, self.kv_limit - self.kv - foreign.kv),
        )

    def terms(self, now: float) -> tuple[int, int, int, int, int, int]:
        """For a shared book: the whole limits of slots, KV, requests and tokens, and what the endpoint says is left.

        -1 is unlimited.
        """
        foreign, remaining = self._reports(now)
        capacity = self.capacity
        return (
            max(0, capacity.concurrency - foreign.slots),
            -1 if capacity.kv_tokens is None else max(0, capacity.kv_tokens - foreign.kv),
            -1 if capacity.requests_per_minute is None else capacity.requests_per_minute,
            -1 if capacity.tokens_per_minute is None else capacity.tokens_per_minute,
            -1 if remaining.requests is None else remaining.requests,
            -1 if remaining.tokens is None else remaining.tokens,
        )

    def correct(self, reported: Foreign | Remaining) -> None:
        """Replaces the report of this kind."""
        self.reported = True
        if isinstance(reported, Foreign):
            self.foreign = reported
        else:
            self.remaining = reported

    def took(self, tokens: int) -> None:
        """Counts a lease against what the endpoint said was left."""
        said = self.remaining
        if said is not NOT_SAID:
            self.remaining = replace(
                said,
                requests=None if said.requests is None else max(0, said.requests - 1),
                tokens=None if said.tokens is None else max(0, said.tokens - tokens),
            )

    def changes_in(self, now: float) -> float:
        """Seconds until time alone makes room: a rate window turns, or a report is stale."""
        windows = [window.turns_in(now) for window in (self.requests, self.tokens) if window is not None]
        if self.reported:
            foreign, remaining = self._reports(now)
            windows += (foreign.until - now, remaining.requests_until - now, remaining.tokens_until - now)
        return min(windows, default=FOREVER)

    def _reports(self, now: float) -> tuple[Foreign, Remaining]:
        """Without what is stale."""
        if not self.reported:
            return NO_FOREIGN, NOT_SAID
        if now >= self.foreign.until:
            self.foreign = NO_FOREIGN
        said = self.remaining
        if now >= said.requests_until:
            self.remaining = said = replace(said, requests=None, requests_until=FOREVER)
        if now >= said.tokens_until:
            self.remaining = said = replace(said, tokens=None, tokens_until=FOREVER)
        self.reported = self.foreign != NO_FOREIGN or said != NOT_SAID
        return self.foreign, said


def _window(window: RateWindow | None, limit: int | None, replicas: int) -> RateWindow | None:
    if limit is None:
        return None
    limit = -(-limit // replicas)
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
        self._retired: dict[str, Account] = {}
        self._free: tuple[list[tuple[int, int, int, int]], Headroom] | None = None  # as it was last asked for
        self._replicas = 1
        self.endpoints: tuple[str, ...] = ()
        self.reconfigure(capacities)

    def reconfigure(self, capacities: Mapping[str, Capacity]) -> None:
        """Other endpoints or limits. An account with leases outlives its endpoint, and returns with it."""
        known = self._accounts | self._retired
        self._accounts = {}
        for endpoint, capacity in capacities.items():
            account = known.pop(endpoint, None)
            if account is None:
                account = Account(endpoint, capacity, self._replicas)
            else:
                account.limit(capacity, self._replicas)
            self._accounts[endpoint] = account
        self._retired = {endpoint: account for endpoint, account in known.items() if account.slots}
        self.endpoints = tuple(self._accounts)

    def divide(self, replicas: int) -> None:
        """Lets this ledger take only its share of each capacity, as one of so many replicas."""
        if replicas != self._replicas:
            self._replicas = replicas
            for account in self.accounts():
                account.limit(account.capacity, replicas)

    def brace(self) -> None:
        """Lets it take, of each endpoint, no more than it holds now and its part of what was free.

        The shared book still counts what is held now, so that the slots of leases that end may be used again; even
        when the others go on without us nothing is taken twice where nothing was free.
        """
        for account in self.accounts():
            account.limit(account.capacity, self._replicas)
            part = account.slots + account.shared_free // self._replicas
            account.slots_limit = min(account.slots_limit, part)

    def stand(self) -> None:
        """Lets it take its whole share."""
        for account in self.accounts():
            account.limit(account.capacity, self._replicas)

    def accounts(self) -> Iterator[Account]:
        """Of the endpoints in order, then of those that are gone and still have leases."""
        yield from self._accounts.values()
        self._retired = {endpoint: account for endpoint, account in self._retired.items() if account.slots}
        yield from self._retired.values()

    def account(self, endpoint: str) -> Account | None:
        """None when the endpoint is not in the book (any more)."""
        return self._accounts.get(endpoint)

    def leases(self) -> Iterator[tuple[str, Lease]]:
        """All of them, with their ids."""
        yield from self._leases.items()

    def __contains__(self, lease_id: str) -> bool:
        return lease_id in self._leases

    def take(self, claim: Claim, now: float) -> bool:
        """Takes the lease if it fits."""
        account = self._accounts.get(claim.endpoint)
        if account is None or claim.lease_id in self._leases or not account.fits(claim.tokens, now):
            return False
        self.add(claim, now)
        return True

    def add(self, claim: Claim, now: float) -> Lease:
        """Takes the lease whether or not it fits; its endpoint must be in the book."""
        account = self._accounts[claim.endpoint]
        lease = self._leases[claim.lease_id] = Lease(account, claim.tokens, now + self._lease_s)
        account.slots += 1
        account.kv += claim.tokens
        account.took(claim.tokens)
        if account.requests is not None:
            account.requests.take(1, now)
        if account.tokens is not None:
            lease.rate_slice = account.tokens.take(claim.tokens, now)
        return lease

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
            soonest = min(soonest, account.changes_in(now))
        return max(0.0, soonest)

    def headroom(self, now: float) -> Headroom:
        """What is free, (E,) each: the same as before where it has not changed, so that what follows from it is too."""
        rows = [account.free(now) for account in self._accounts.values()]
        if self._free is None or self._free[0] != rows:
            self._free = rows, Headroom(*np.array(rows, dtype=np.int64).reshape(-1, 4).T.copy())
        return self._free[1]

    def held(self) -> dict[str, int]:
        """Leases per endpoint; of the endpoints that are gone, those that still have some."""
        return {account.endpoint: account.slots for account in self.accounts()}

    def correct(self, endpoint: str, reported: Foreign | Remaining) -> None:
        """Replaces what the endpoint reported; one that is not in the book is ignored."""
        account = self._accounts.get(endpoint)
        if account is not None:
            account.correct(reported)
