"""From what a batch asks for, what is estimated and what is free to the Problem of placing it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway.core.argmin import clear_best
from gateway.core.capacity import UNLIMITED
from gateway.core.contest import contest
from gateway.core.latency import in_time, seconds_of_service, seconds_to_start, slot_seconds
from gateway.core.problem import NANO, QUALITY_UNIT, BatchQuality, Problem, TokenRow, nano_dollars
from gateway.core.sessions import at_home, gangs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.core.capacity import Headroom
    from gateway.core.contest import Contest
    from gateway.core.estimate import Estimates, Rivals
    from gateway.core.latency import Pace, Traffic
    from gateway.core.problem import Bools, Ints
    from gateway.core.sessions import Session

    Floats = NDArray[np.float64]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one query of the batch may use, and what its route pays."""

    models: Bools  # (M,) admitted by the hard filters
    multiplier: float = 0.0  # USD for one unit of quality
    bias: float = 0.0  # what feedback has shown that estimates of this route are off by
    risk: float = 0.0  # z of quality - z x sd
    usd_per_second: float = 0.0
    floor: float = 0.0  # least quality, for this query alone
    max_cost_usd: float = np.inf
    excluded: tuple[int, ...] = ()  # endpoints that failed it already
    batch_quality: float | None = None  # the papers' row, where the route asks for it
    waited_s: float = 0.0
    time_left_s: float = np.inf  # in which it may still wait; then it goes where there is room
    party: tuple[int, str] = (0, "")  # its priority and its key: inside a party the joint decision is free
    ends_in_s: float = np.inf  # by when its client wants the last token
    session: Session | None = None  # queries of one session go to one endpoint
    home: int | None = None  # where its session was served before


@dataclass(frozen=True, kw_only=True)
class Terrain:
    """Where the batch can go now. E endpoints of M models."""

    model_of_endpoint: NDArray[np.intp]  # (E,)
    headroom: Headroom
    healthy: Bools  # (E,) whether its breaker lets queries through
    pace: Pace
    traffic: Traffic

    @cached_property
    def between(self) -> Floats:
        """(E,) expected seconds between two slots that free themselves when all are taken."""
        return slot_seconds(self.pace, self.traffic)

    @cached_property
    def start(self) -> Floats:
        """(E,) expected seconds that one more query waits for a slot."""
        return seconds_to_start(self.traffic, self.between)


@dataclass(frozen=True, kw_only=True)
class Placing:
    """What each query of a batch would cost where. What only those ask for who have to wait is worked out for them."""

    asks: Sequence[Ask]
    estimates: Estimates
    models: Bools  # (Q, M) whom the hard filters admit
    terrain: Terrain
    allowed: Bools  # (Q, E) whom a query may go to; of these the problem leaves out those whose turn it is not
    score_usd: Floats  # (Q, E)
    open_usd: Floats  # (Q, E) the same, infinite where it is not allowed
    quality: Floats  # (Q, M) as far as feedback has corrected it
    inputs: Floats  # (Q, E) tokens
    outputs: Floats  # (Q, E)
    below_floor: Bools  # (Q,) nobody reaches the floor: the best estimate serves
    too_dear: Bools  # (Q,) nobody stays under the cost that the client allows

    @property
    def slots(self) -> Ints:
        """(E,) queries that may be placed now."""
        return self.terrain.headroom.places

    @property
    def rivals(self) -> list[Rivals]:
        """(Q,) what other rules would have paid."""
        return self.estimates.rivals(self.models, [ask.multiplier for ask in self.asks])

    @property
    def has_side_rows(self) -> bool:
        """Whether anything but slots can bind; a session that comes more than once may."""
        sessions = [ask.session for ask in self.asks if ask.session is not None]
        asks_quality = any(ask.batch_quality is not None for ask in self.asks)
        return asks_quality or len(set(sessions)) < len(sessions) or bool(self.tokens)

    @property
    def patience_s(self) -> Floats:
        """(Q,) seconds after which holding no longer pays, should nothing change."""
        return self._contest.patience_s

    @cached_property
    def price(self) -> Floats:
        """(Q, E) whole nano-dollars, infinite where it is not allowed."""
        return np.rint(self.open_usd * NANO)

    @cached_property
    def clear(self) -> Ints | None:
        """(Q,) each query's own best where nothing stands against it; None where something may."""
        return None if self.has_side_rows else clear_best(self.price, self.slots)

    @property
    def wanted(self) -> Ints:
        """(E,) queries whose turn it is and whose best of all it is."""
        if self.clear is None:
            return self._contest.wanted
        return np.bincount(self.clear, minlength=len(self.slots))

    @cached_property
    def tokens(self) -> tuple[TokenRow, ...]:
        return _token_rows(self.inputs, self.outputs, self.terrain.headroom)

    @cached_property
    def problem(self) -> Problem:
        """The batch in integers. Where there is not room for all, no party is placed at the cost of another's turn."""
        asks, contest = self.asks, self._contest
        allowed = self.allowed if contest.turn is None else self.allowed & contest.turn[:, None]
        return Problem(
            score=nano_dollars(self.score_usd),
            allowed=allowed,
            hold=nano_dollars(contest.hold_usd),
            may_hold=contest.may_hold,
            slots=self.slots,
            gang=gangs([ask.session for ask in asks], allowed, self.slots),
            tokens=self.tokens,
            batch_quality=_batch_quality(asks, self.quality, self.terrain.model_of_endpoint),
        )

    @cached_property
    def _contest(self) -> Contest:
        terrain = self.terrain
        waiting = terrain.traffic.waiting
        return contest(self.asks, self.open_usd, self.slots, lambda left: terrain.between * (waiting + (left + 1) / 2))


def place(asks: Sequence[Ask], estimates: Estimates, terrain: Terrain) -> Placing:
    """Prices the batch. Row q of everything is asks[q], in the order of their turns; ties go to whoever comes first."""
    of, traffic = terrain.model_of_endpoint, terrain.traffic
    quality = worth = estimates.quality
    if any(ask.bias for ask in asks):
        quality = worth = np.minimum(np.maximum(quality + _column([ask.bias for ask in asks]), 0.0), 1.0)
    if any(ask.risk for ask in asks):
        worth = quality - _column([ask.risk for ask in asks]) * estimates.quality_sd
    asked = np.array([ask.models for ask in asks])
    models, below_floor, too_dear = _admitted(asks, asked, worth, estimates.cost_usd)
    value = estimates.cost_usd - _column([ask.multiplier for ask in asks]) * worth
    inputs, outputs = estimates.input_tokens.take(of, axis=1), estimates.output_tokens.take(of, axis=1)
    seconds = service = seconds_of_service(inputs, outputs, terrain.pace, traffic)
    if traffic.queued:
        # where no slot is free, the time until there is one is in the price of holding
        seconds = service + np.where(terrain.headroom.places > 0, terrain.start, 0.0)
    allowed = _allowed(asks, models.take(of, axis=1), service, terrain)
    score_usd = value.take(of, axis=1) + _column([ask.usd_per_second for ask in asks]) * seconds
    return Placing(
        asks=asks,
        estimates=estimates,
        models=asked,
        terrain=terrain,
        allowed=allowed,
        score_usd=score_usd,
        open_usd=np.where(allowed, score_usd, np.inf),
        quality=quality,
        inputs=inputs,
        outputs=outputs,
        below_floor=below_floor,
        too_dear=too_dear,
    )


def _admitted(asks: Sequence[Ask], models: Bools, worth: Floats, cost: Floats) -> tuple[Bools, Bools, Bools]:
    """(Q, M) who of these may answer after the client's floor and cap, and (Q,) whose floor or cap nobody meets."""
    if not any(ask.floor or ask.risk or ask.max_cost_usd < np.inf for ask in asks):
        return models, np.zeros(len(asks), dtype=np.bool_), np.asarray(~models.any(axis=1))
    affordable = models & (cost <= _column([ask.max_cost_usd for ask in asks]))
    too_dear = np.asarray(~affordable.any(axis=1))
    reaching: Bools = affordable & (worth >= _column([ask.floor for ask in asks]))
    below_floor = np.asarray(~reaching.any(axis=1) & ~too_dear)
    if below_floor.any():
        best = np.where(affordable, worth, -np.inf)
        reaching[below_floor] = (affordable & (best == best.max(axis=1, keepdims=True)))[below_floor]
    return reaching, below_floor, too_dear


def _allowed(asks: Sequence[Ask], admitted: Bools, service: Floats, terrain: Terrain) -> Bools:
    """(Q, E) of the endpoints of admitted models those that are well, in time, and have not failed the query."""
    allowed = admitted & terrain.healthy
    for row, ask in enumerate(asks):
        if ask.excluded:
            allowed[row, list(ask.excluded)] = False
    if any(ask.ends_in_s < np.inf for ask in asks):
        allowed = in_time(terrain.start + service, np.array([ask.ends_in_s for ask in asks]), allowed)
    return at_home(allowed, [ask.home for ask in asks], terrain.headroom.places)


def _token_rows(inputs: Floats, outputs: Floats, headroom: Headroom) -> tuple[TokenRow, ...]:
    """A row per kind of token room, left out where no endpoint comes near its limit."""
    if not headroom.limits_tokens:
        return ()
    rooms = (("kv", headroom.kv), ("tokens_per_minute", headroom.tokens))
    need = np.ceil(inputs + outputs).astype(np.int64)
    most = int(need.max(axis=1, initial=0).sum())
    return tuple(
        TokenRow(name=name, need=need, room=room) for name, room in rooms if room.min(initial=UNLIMITED) < most
    )


def _batch_quality(asks: Sequence[Ask], quality: Floats, of: NDArray[np.intp]) -> BatchQuality | None:
    """From (Q, M) quality; None where no route asks for it."""
    asked = [ask.batch_quality for ask in asks]
    known = [each for each in asked if each is not None]
    if not known:
        return None
    most = max(known)
    lenience = np.array([[0.0 if each is None else most - each] for each in asked])  # routes may ask for different ones
    units = np.rint((quality.take(of, axis=1) + lenience) * QUALITY_UNIT).astype(np.int64)
    members = np.array([each is not None for each in asked])
    return BatchQuality(quality=units, asked=round(most * QUALITY_UNIT), members=members)


def _column(numbers: Sequence[float]) -> Floats | float:
    """(Q, 1) a number for each query; that number, where all have the same."""
    if len(set(numbers)) == 1:
        return numbers[0]
    return np.array(numbers, dtype=np.float64)[:, None]
