"""What a replica has to say to the shared book, and who waits for the answer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.load.exchange import KEEP, LEAVE, Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.load.base import Claim
    from gateway.load.exchange import Heard, Names
    from gateway.load.ledger import Lease, Ledger
    from gateway.load.waiters import Waiters

COMPANY_S = 0.002  # that a release waits for a claim to travel with: by then a busy replica has one
CLAIMS_PER_EXCHANGE = 512  # more wait for the next, so that no exchange holds Redis for long


class _Wish(NamedTuple):
    """One call of `reserve`, until its verdicts are known."""

    claims: Sequence[Claim]
    verdicts: asyncio.Future[list[bool]]


class _Ended(NamedTuple):
    """A lease that Redis does not know to be released."""

    lease_id: str
    lease: Lease
    used_tokens: int | None


class View(NamedTuple):
    """What is free and what is held, as far as can be seen."""

    endpoints: tuple[str, ...]
    headroom: Headroom
    held: dict[str, int]


class Outbox:
    """Collects what comes up, drafts it as one Ask, and deals out what was heard. Nothing here waits.

    Every grant is entered in the ledger, so that this replica can go on alone at any moment.
    """

    def __init__(self, ledger: Ledger, names: Names, clock: Callable[[], float], waiters: Waiters) -> None:
        self.ready = asyncio.Event()  # there is something to say
        self.shared = False  # whether anybody would hear it; set by the courier when it is so
        self.replicas = 1
        self._ledger = ledger
        self._names = names
        self._clock = clock
        self._waiters = waiters
        self._releases_heard = 0  # the shared count, as last heard
        self._armed_at = -1  # the wake that was the last one when Redis was told that somebody waits
        self._arm = False
        self._soon: asyncio.TimerHandle | None = None  # when releases are told that have found no company
        self._wishes: list[_Wish] = []
        self._asked: list[_Wish] = []  # on their way
        self._ended: list[_Ended] = []
        self._looks: list[asyncio.Future[View]] = []
        self._looked: list[asyncio.Future[View]] = []
        self._positions: tuple[str, ...] = ()  # endpoints of the exchange on its way
        self._columns: tuple[str, ...] = ()  # endpoints as in the last look; those that are gone come last
        self._width = 0  # how many of them are not gone
        self._spent: dict[str, tuple[int, int]] = {}  # requests and tokens taken alone
        self._telling: dict[str, tuple[int, int]] = {}

    async def wish(self, claims: Sequence[Claim]) -> list[bool]:
        """The verdicts. Cancelled, it holds nothing."""
        if not self.shared:
            return self._decide(claims)
        wish = _Wish(claims, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self.ready.set()
        try:
            return await wish.verdicts
        except asyncio.CancelledError:
            if wish.verdicts.done() and not wish.verdicts.cancelled():
                self._give_back(claims, wish.verdicts.result())
            raise

    async def look(self) -> View:
        """What all replicas hold, or this one alone while nothing is shared."""
        while self.shared:
            look: asyncio.Future[View] = asyncio.get_running_loop().create_future()
            self._looks.append(look)
            self.ready.set()
            view = await look
            if view.endpoints == self._ledger.endpoints:  # else the book was reconfigured meanwhile
                return view
        return self._own_view()

    def arm(self) -> None:
        """Somebody is about to wait: has Redis announce the next release, unless it was just told so."""
        self._waiters.wake_in(self._ledger.changes_in(self._clock()))
        if self.shared and self._armed_at != self._waiters.wakes:
            self._arm = True
            self.ready.set()

    def end(self, lease_id: str, used_tokens: int | None) -> None:
        """Releases the lease here and now; Redis hears of it with the next exchange.

        A release makes none at once, unless room is contended: the claim that may come next would have to wait
        for its answer, and need another.
        """
        lease = self._ledger.drop(lease_id, used_tokens)
        if lease is None:
            return
        if self.shared:
            self._ended.append(_Ended(lease_id, lease, used_tokens))
            if self._waiters.contended:
                self.ready.set()
            elif self._soon is None:
                self._soon = asyncio.get_running_loop().call_later(COMPANY_S, self.ready.set)
        else:
            self._waiters.wake()

    def draft(self, sync: int) -> Draft:
        """All that is to be said now."""
        now, draft = self._clock(), Draft(self._names)
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._looked, self._looks = self._looks, []
        waits, self._arm = self._arm, False
        if sync != KEEP or self._looked or waits:
            accounts = list(self._ledger.accounts())
            self._columns, self._width = tuple(a.endpoint for a in accounts), len(self._ledger.endpoints)
            for account in accounts:
                draft.at(account, now)
            draft.ask.look = len(accounts) if self._looked else 0
        draft.ask.waits = int(waits)
        for ended in self._ended:
            draft.release(draft.at(ended.lease.account, now), *ended)
        self._ended = []
        if sync != KEEP:
            self._telling, self._spent = self._spent, {}
            self._write(draft, now, leaving=sync == LEAVE)
        self._ask(draft, now)
        self._positions = draft.endpoints
        return draft

    def hear(self, reply: Heard, *, renewed: bool) -> None:
        """The answer to the last draft."""
        self._telling = {}
        for endpoint, free in zip(self._positions, reply.free, strict=True):
            account = self._ledger.account(endpoint)
            if account is not None and free >= 0:
                account.shared_free = free
        if self.shared or reply.replicas > self.replicas:  # after an outage the others have yet to come back
            self.replicas = max(1, reply.replicas)
            self._ledger.divide(self.replicas)
        if renewed or reply.releases > self._releases_heard:
            self._releases_heard = reply.releases
            self._waiters.wake()
        if reply.change_ms >= 0:
            self._armed_at = self._waiters.wakes
            self._waiters.wake_in((reply.change_ms + 1) / 1000)
        verdicts = iter(reply.verdicts)
        for wish in self._asked:
            self._grant(wish, [next(verdicts) == 1 for _ in wish.claims], reply.rate_slice)
        self._asked = []
        if self._looked:
            view = self._view(reply)
            _answer(self._looked, view)

    def part(self) -> None:
        """Redis does not answer: all who asked hear from this replica's own view, braced, in case it is but a moment.

        What is unsaid is covered when all leases are written.
        """
        if self.shared:
            self.shared = False
            self._ledger.brace()
        wishes, self._asked, self._wishes = [*self._asked, *self._wishes], [], []
        for wish in wishes:
            if not wish.verdicts.done():
                wish.verdicts.set_result(self._decide(wish.claims))
        looks, self._looked, self._looks = [*self._looked, *self._looks], [], []
        _answer(looks, self._own_view())
        self._ended = []
        for endpoint, (requests, tokens) in self._telling.items():
            self._spend(endpoint, requests, tokens)
        self._telling = {}
        self._waiters.wake()

    def alone(self) -> None:
        """It is more than a moment: this replica takes its whole share."""
        self._ledger.stand()
        self._waiters.wake()

    def announced(self, releases: int | None) -> None:
        """So many releases in all; None: perhaps some."""
        if releases is None or releases > self._releases_heard:
            self._releases_heard = releases or self._releases_heard
            self._waiters.wake()

    def _write(self, draft: Draft, now: float, *, leaving: bool) -> None:
        if not leaving:
            for lease_id, lease in self._ledger.leases():
                draft.write(draft.at(lease.account, now), lease_id, lease.tokens)
        for endpoint, (requests, tokens) in self._telling.items():
            account = self._ledger.account(endpoint)
            if account is not None:
                draft.ask.spent.append((draft.at(account, now), requests, tokens))

    def _ask(self, draft: Draft, now: float) -> None:
        """Moves wishes into the draft until it is full."""
        waiting = deque(wish for wish in self._wishes if not wish.verdicts.done())  # some have gone
        while waiting and (not self._asked or len(draft.ask.claimed) + len(waiting[0].claims) <= CLAIMS_PER_EXCHANGE):
            wish = waiting.popleft()
            self._asked.append(wish)
            for claim in wish.claims:
                account = self._ledger.account(claim.endpoint)
                refused = account is None or claim.lease_id in self._ledger
                draft.claim(0 if account is None or refused else draft.at(account, now), claim)
        self._wishes = list(waiting)
        if waiting:
            self.ready.set()

    def _grant(self, wish: _Wish, verdicts: list[bool], rate_slice: int) -> None:
        """Enters what Redis granted into the ledger."""
        now = self._clock()
        for i, claim in enumerate(wish.claims):
            # Meanwhile the endpoint may have left the book, or the same id been granted beside it.
            if verdicts[i] and self._ledger.account(claim.endpoint) is not None and claim.lease_id not in self._ledger:
                self._ledger.add(claim, now).shared_slice = rate_slice
            else:
                verdicts[i] = False
        if wish.verdicts.done():
            self._give_back(wish.claims, verdicts)
        else:
            wish.verdicts.set_result(verdicts)

    def _give_back(self, claims: Sequence[Claim], verdicts: Sequence[bool]) -> None:
        for claim, granted in zip(claims, verdicts, strict=True):
            if granted:
                self.end(claim.lease_id, 0)

    def _decide(self, claims: Sequence[Claim]) -> list[bool]:
        """Without Redis: this replica's share of each capacity."""
        now = self._clock()
        verdicts = [self._ledger.take(claim, now) for claim in claims]
        for claim, granted in zip(claims, verdicts, strict=True):
            if granted:
                self._spend(claim.endpoint, 1, claim.tokens)
        return verdicts

    def _spend(self, endpoint: str, requests: int, tokens: int) -> None:
        before = self._spent.get(endpoint, (0, 0))
        self._spent[endpoint] = (before[0] + requests, before[1] + tokens)

    def _view(self, reply: Heard) -> View:
        table = np.array(reply.rows, dtype=np.int64).reshape(-1, 5)
        free = table[: self._width, 1:].clip(min=0)
        free[free > UNLIMITED // 2] = UNLIMITED  # claims of the same exchange were taken off it
        held = dict(zip(self._columns, table[:, 0].tolist(), strict=True))
        return View(self._columns[: self._width], Headroom(*free.T), held)

    def _own_view(self) -> View:
        return View(self._ledger.endpoints, self._ledger.headroom(self._clock()), self._ledger.held())


def _answer(looks: list[asyncio.Future[View]], view: View) -> None:
    for look in looks:
        if not look.done():
            look.set_result(view)
