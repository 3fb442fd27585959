"""What keys have used over all replicas: in Redis, and in each replica as far as it can go on alone.

One task talks to Redis, one exchange at a time; what comes up meanwhile travels together in the next. While Redis is
away each replica lets a key use one share of what was left of its limits, of as many as there are replicas, and
tells Redis afterwards.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from gateway.core.allowance import Left, Limit, Taken, Use, Verdict, budget_of, span_of
from gateway.load.allowance import tally_of
from gateway.load.background import background
from gateway.load.redis_link import LinkError, RedisLink, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gateway.core.allowance import Tally
    from gateway.domain import Key
    from gateway.load.doubt import Doubt

SCRIPT = Script(files("gateway.load").joinpath("allowance.lua").read_text(encoding="utf-8"))
RETRY_S: Final = 0.5
NO_LIMIT: Final = -1
REFUSALS: Final = (None, Limit.REQUESTS, Limit.TOKENS, Limit.BUDGET)  # by the script's number
NOTHING: Final = Use()
MOST_SPANS: Final = 1_000  # whose last sums are remembered; of those that are over nothing is asked any more

Place = tuple[str, str]  # the name of a key, and a span


class _Wish(NamedTuple):
    """One call of `take`, until its verdict is known."""

    key: Key
    use: Use
    span: str
    verdict: asyncio.Future[Verdict]


class _Heard(msgspec.Struct, array_like=True):
    """In the order in which the script packs it."""

    slice: int
    verdicts: list[tuple[int, float]]
    rows: list[tuple[int, int, int]]  # by position: requests, tokens, nano-dollars used


_decoder = msgspec.msgpack.Decoder(_Heard, strict=False)
_encode = msgspec.msgpack.Encoder().encode


class _Draft:
    """An ask in the making: every key and span has a position."""

    def __init__(self, tag: str, replica: str, turn: int, last: Mapping[Place, int]) -> None:
        self._tag = tag
        self._turn = turn
        self._last = last
        self.places: dict[Place, int] = {}
        self.keys = [f"{tag}:turn:{replica}"]
        self.limits: list[tuple[int, int, int, int]] = []
        self.corrections: list[tuple[int, int, int, int]] = []
        self.takes: list[tuple[int, int, int, int]] = []

    def at(self, key: Key, span: str) -> int:
        place = self.places.get((key.name, span))
        if place is None:
            place = self.places[key.name, span] = len(self.places) + 1
            self.keys += (f"{self._tag}:{key.name}:rates", f"{self._tag}:{key.name}:spent:{span}")
            self.limits.append(
                (
                    NO_LIMIT if key.requests_per_minute is None else key.requests_per_minute,
                    NO_LIMIT if key.tokens_per_minute is None else key.tokens_per_minute,
                    budget_of(key) if key.budget else NO_LIMIT,
                    self._last.get((key.name, span), 0),
                )
            )
        return place

    def sealed(self) -> bytes:
        return _encode((self._turn, self.limits, self.corrections, self.takes))


class RedisAllowances:
    """Works inside `async with book.running():`.

    Args:
        url: see RedisLink; it need not answer, now or later.
        clock: seconds, never backwards.
        wall: seconds since the epoch.
        prefix: of all keys in Redis.
        budget_s: what one exchange may take.
        replicas: how many share the limits, as last seen.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        *,
        prefix: str,
        budget_s: float,
        replicas: Callable[[], int],
        doubt: Doubt | None = None,
    ) -> None:
        self._link = RedisLink(url, budget_s, doubt)
        self._clock = clock
        self._wall = wall
        self._tag = f"{{{prefix}}}:key"
        self.replica = secrets.token_hex(6)
        self._replicas = replicas
        self._shared = True
        self._ready = asyncio.Event()
        self._talking = asyncio.Lock()
        self._turn = 0
        self._doubtful: list[tuple[Taken, Use]] = []  # corrections of a turn that was not answered
        self._last: dict[Place, int] = {}  # nano-dollars spent, as last heard from Redis
        self._tallies: dict[str, Tally] = {}
        self._wishes: list[_Wish] = []
        self._corrections: list[tuple[Taken, Use]] = []

    async def take(self, key: Key, use: Use) -> Verdict:
        span = span_of(key, self._wall())
        if not self._shared:
            return self._alone(key, use, span, self._corrections)
        wish = _Wish(key, use, span, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self._ready.set()
        try:
            return await wish.verdict
        except asyncio.CancelledError:
            if wish.verdict.done() and not wish.verdict.cancelled() and (taken := wish.verdict.result().taken):
                self.correct(taken, NOTHING)
            raise

    def correct(self, taken: Taken, used: Use) -> None:
        self._tallies[taken.key].correct(taken, used)
        self._corrections.append((taken, used))
        self._ready.set()

    def left(self, key: Key) -> Left:
        return tally_of(self._tallies, key).left(self._clock(), span_of(key, self._wall()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Talks for as long as the block lasts, and says at its end what is left to say."""
        try:
            async with background(self._converse()):
                try:
                    yield self
                finally:
                    async with self._talking:
                        pass  # what is on its way is answered
        finally:
            await self._exchange()
            await self._link.close()

    async def _converse(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            async with self._talking:
                answered = await self._exchange()
            if not answered:
                await asyncio.sleep(RETRY_S)
                self._ready.set()

    async def _exchange(self) -> bool:
        """Says what is to be said; whether Redis answered. A turn without an answer is said again as it was."""
        wishes = [wish for wish in self._wishes if not wish.verdict.done()]  # some have gone
        if self._doubtful:
            corrections, wishes = self._doubtful, []
            self._ready.set()  # the rest comes after it
        else:
            self._turn += 1
            corrections, self._corrections, self._wishes = self._corrections, [], []
        if not corrections and not wishes and self._shared:
            return True
        draft = self._draft(corrections, wishes)
        try:
            heard = _decoder.decode(await self._link.run(SCRIPT, draft.keys, draft.sealed()))
        except (LinkError, msgspec.DecodeError, asyncio.CancelledError) as error:
            self._doubtful = corrections
            self._part(wishes)
            if isinstance(error, asyncio.CancelledError):
                raise
            return False
        self._doubtful = []
        self._hear(heard, draft, wishes)
        return True

    def _draft(self, corrections: list[tuple[Taken, Use]], wishes: list[_Wish]) -> _Draft:
        draft = _Draft(self._tag, self.replica, self._turn, self._last)
        for taken, used in corrections:
            place = draft.at(self._tallies[taken.key].key, taken.span)
            draft.corrections.append((place, taken.slice, used.tokens - taken.use.tokens, used.nano - taken.use.nano))
        for wish in wishes:
            tally_of(self._tallies, wish.key)
            place = draft.at(wish.key, wish.span)
            draft.takes.append((place, wish.use.requests, wish.use.tokens, wish.use.nano))
        return draft

    def _hear(self, heard: _Heard, draft: _Draft, wishes: list[_Wish]) -> None:
        if not self._shared:
            self._shared = True
            for tally in self._tallies.values():
                tally.alone(1)
        for (name, span), place in draft.places.items():
            self._last.pop((name, span), None)  # the newest stand last
            self._last[name, span] = heard.rows[place - 1][2]
            if len(self._last) > MOST_SPANS:
                del self._last[next(iter(self._last))]
            self._tallies[name].heard(span, heard.rows[place - 1][2])
        for taken, used in self._corrections:  # made meanwhile, and still unsaid
            self._tallies[taken.key].adjust(taken.span, used.nano - taken.use.nano)
        for wish, (refused, wait_ms) in zip(wishes, heard.verdicts, strict=True):
            row = heard.rows[draft.places[wish.key.name, wish.span] - 1]
            granted = None if refused else Taken(wish.key.name, wish.span, heard.slice, wish.use)
            verdict = Verdict(_left(wish.key, row), granted, REFUSALS[refused], wait_ms / 1000)
            if not wish.verdict.done():
                wish.verdict.set_result(verdict)
            elif granted is not None:
                self.correct(granted, NOTHING)

    def _part(self, wishes: list[_Wish]) -> None:
        """Redis does not answer: what was asked is decided here, and told to it when it is back."""
        if self._shared:
            self._shared = False
            for tally in self._tallies.values():
                tally.alone(max(1, self._replicas()))
        for asked, told_in in ((wishes, self._doubtful), (self._wishes, self._corrections)):
            for wish in asked:
                if not wish.verdict.done():
                    wish.verdict.set_result(self._alone(wish.key, wish.use, wish.span, told_in))
        self._wishes = []

    def _alone(self, key: Key, use: Use, span: str, told_in: list[tuple[Taken, Use]]) -> Verdict:
        """Decides here. Of what was asked already Redis hears with the turn in which it may have granted it."""
        known = key.name in self._tallies
        tally = tally_of(self._tallies, key)
        if not known:
            tally.alone(max(1, self._replicas()))
        verdict = tally.take(use, self._clock(), span)
        if verdict.taken is not None:
            told_in.append((Taken(key.name, span, 0, NOTHING), use))
        return verdict


def _left(key: Key, row: tuple[int, int, int]) -> Left:
    return Left(
        None if key.requests_per_minute is None else max(0, key.requests_per_minute - row[0]),
        None if key.tokens_per_minute is None else max(0, key.tokens_per_minute - row[1]),
        None if key.budget is None else max(0, budget_of(key) - row[2]),
    )
