"""From what a batch asks for, what is estimated and what is free to the Problem of placing it."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.capacity import NOWHERE, UNLIMITED
from gateway.core.latency import in_time, seconds_of_service, seconds_to_start, slot_seconds
from gateway.core.order import in_turn
from gateway.core.problem import QUALITY_UNIT, BatchQuality, Problem, TokenRow, nano_dollars
from gateway.core.sessions import at_home, gangs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gateway.core.capacity import Headroom
    from gateway.core.estimate import Estimates
    from gateway.core.latency import Pace, Traffic
    from gateway.core.problem import Bools, Ints
    from gateway.core.sessions import Session

    Floats = NDArray[np.float64]


LEAST_USD_PER_SECOND = 1e-9  # keeps the patience of a query whose time is free finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """Where the batch can go now. E endpoints of M models."""

    model_of_endpoint: NDArray[np.intp]  # (E,)
    headroom: Headroom
    healthy: Bools  # (E,) whether its breaker lets queries through
    pace: Pace
    traffic: Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """A Problem and what it was made of, for the decision record."""

    problem: Problem
    allowed: Bools  # (Q, E) whom a query may go to; of these the problem leaves out those whose turn it is not
    score_usd: Floats  # (Q, E)
    below_floor: Bools  # (Q,) nobody reaches the floor: the best estimate serves
    too_dear: Bools  # (Q,) nobody stays under the cost that the client allows
    patience_s: Floats  # (Q,) seconds after which holding no longer pays, should nothing change
    wanted: Ints  # (E,) queries whose turn it is and whose best of all it is


def place(asks: Sequence[Ask], estimates: Estimates, terrain: Terrain) -> Placing:
    """States the batch. Row q of everything is asks[q], in the order of their turns; ties go to whoever comes first.

    Where there is not room for everybody, no party is placed at the cost of another one's turn.
    """
    of, pace, traffic, slots = terrain.model_of_endpoint, terrain.pace, terrain.traffic, terrain.headroom.places
    terms = _Terms.of(asks)
    quality = np.minimum(np.maximum(estimates.quality + terms.bias, 0.0), 1.0)
    worth = quality - terms.risk * estimates.quality_sd
    models, below_floor, too_dear = _admitted(asks, terms, worth, estimates.cost_usd)
    value = estimates.cost_usd - terms.multiplier * worth
    inputs, outputs = estimates.input_tokens.take(of, axis=1), estimates.output_tokens.take(of, axis=1)
    service = seconds_of_service(inputs, outputs, pace, traffic)
    between = slot_seconds(pace, traffic)
    start = seconds_to_start(traffic, between)
    allowed = models.take(of, axis=1) & terrain.healthy
    for row, ask in enumerate(asks):
        if ask.excluded:
            allowed[row, list(ask.excluded)] = False
    if any(ask.ends_in_s < np.inf for ask in asks):
        allowed = in_time(start + service, terms.ends_in_s[:, 0], allowed)
    allowed = at_home(allowed, [ask.home for ask in asks], slots)
    # where no slot is free, the time until there is one is in the price of holding
    score_usd = value.take(of, axis=1) + terms.usd_per_second * (service + np.where(slots > 0, start, 0.0))
    holding = _hold(terms, score_usd, allowed, slots, lambda left: between * (traffic.waiting + (left + 1) / 2))
    in_turn_now, may_hold, wanted = allowed, holding.may_hold, holding.favourite
    if len({ask.party for ask in asks}) > 1 and (slots < len(asks)).any():
        now = in_turn(np.where(allowed, score_usd, np.inf), np.where(may_hold, holding.usd, np.inf), slots)
        in_turn_now, may_hold, wanted = allowed & now[:, None], may_hold | ~now, wanted[now]
    problem = Problem(
        score=nano_dollars(score_usd),
        allowed=in_turn_now,
        hold=nano_dollars(holding.usd),
        may_hold=may_hold,
        slots=slots,
        gang=gangs([ask.session for ask in asks], in_turn_now, slots),
        tokens=_token_rows(inputs, outputs, terrain.headroom),
        batch_quality=_batch_quality(asks, quality, of),
    )
    return Placing(
        problem=problem,
        allowed=allowed,
        score_usd=score_usd,
        below_floor=below_floor,
        too_dear=too_dear,
        patience_s=holding.patience_s,
        wanted=_counts(wanted, len(slots)),
    )


class _Terms(NamedTuple):
    """What the asks say in numbers, (Q, 1) each: one array is made of them all, which costs as much as one of each."""

    bias: Floats
    risk: Floats
    multiplier: Floats
    usd_per_second: Floats
    floor: Floats
    max_cost_usd: Floats
    ends_in_s: Floats
    waited_s: Floats
    time_left_s: Floats

    @classmethod
    def of(cls, asks: Sequence[Ask]) -> _Terms:
        rows = [_numbers(ask) for ask in asks]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, len(cls._fields)).T[:, :, None])


_numbers = attrgetter(*_Terms._fields)


def _admitted(asks: Sequence[Ask], terms: _Terms, worth: Floats, cost: Floats) -> tuple[Bools, Bools, Bools]:
    """(Q, M) who may answer after the client's floor and cap, and (Q,) whose floor or cap nobody meets."""
    models: Bools = np.array([ask.models for ask in asks])
    if not any(ask.floor or ask.risk or ask.max_cost_usd < np.inf for ask in asks):
        return models, np.zeros(len(asks), dtype=np.bool_), np.asarray(~models.any(axis=1))
    affordable = models & (cost <= terms.max_cost_usd)
    too_dear = np.asarray(~affordable.any(axis=1))
    reaching: Bools = affordable & (worth >= terms.floor)
    below_floor = np.asarray(~reaching.any(axis=1) & ~too_dear)
    if below_floor.any():
        best = np.where(affordable, worth, -np.inf)
        reaching[below_floor] = (affordable & (best == best.max(axis=1, keepdims=True)))[below_floor]
    return reaching, below_floor, too_dear


class _Holding(NamedTuple):
    """What waiting is worth to each of a batch, (Q,) each."""

    usd: Floats
    may_hold: Bools
    patience_s: Floats
    favourite: Ints  # the endpoint that it likes best; NOWHERE where none is open to it


def _hold(terms: _Terms, score: Floats, allowed: Bools, slots: Ints, wait_s: Callable[[Ints], Floats]) -> _Holding:
    """What waiting for the best endpoint costs, whether it is open, and seconds for which it stays so.

    It is open where more queries of the batch want that endpoint than it has room for, while there is time. All are
    priced at the mean wait of those who would be left over, which `wait_s` gives for so many at each endpoint, and each
    at what it has waited already: of two that want the same slot the older gets it, and whoever has waited long enough
    goes where there is room at a higher price.
    """
    queries = np.arange(len(score))
    open_score: Floats = np.where(allowed, score, np.inf)
    favourite = open_score.argmin(axis=1)
    own = open_score[queries, favourite]
    someone = np.isfinite(own)
    best = np.where(someone, favourite, NOWHERE)
    left_over = np.maximum(_counts(best, len(slots)) - slots, 0)
    its_wait, per_second = wait_s(left_over)[favourite], terms.usd_per_second[:, 0]
    hold = np.where(someone, own, 0.0) + per_second * (its_wait + terms.waited_s[:, 0])
    time_left = terms.time_left_s[:, 0] - its_wait
    elsewhere = np.where(slots > 0, open_score, np.inf)
    elsewhere[queries, favourite] = np.inf
    patience = np.minimum((elsewhere.min(axis=1) - hold) / np.maximum(per_second, LEAST_USD_PER_SECOND), time_left)
    return _Holding(hold, (left_over[favourite] > 0) & (time_left > 0) & someone, patience, best)


def _counts(chosen: Ints, endpoints: int) -> Ints:
    """(E,) how often each is chosen."""
    counts: Ints = np.bincount(chosen - NOWHERE, minlength=endpoints - NOWHERE)[-NOWHERE:]
    return counts


def _token_rows(inputs: Floats, outputs: Floats, headroom: Headroom) -> tuple[TokenRow, ...]:
    """A row per kind of token room, left out where no endpoint comes near its limit."""
    rooms = (("kv", headroom.kv), ("tokens_per_minute", headroom.tokens))
    least = [room.min(initial=UNLIMITED) for _, room in rooms]
    if min(least) >= UNLIMITED:
        return ()
    need = np.ceil(inputs + outputs).astype(np.int64)
    most = int(need.max(axis=1, initial=0).sum())
    return tuple(
        TokenRow(name=name, need=need, room=room)
        for (name, room), there in zip(rooms, least, strict=True)
        if there < most
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
