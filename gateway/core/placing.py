"""From what a batch asks for, what is estimated and what is free to the Problem of placing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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


def place(asks: Sequence[Ask], estimates: Estimates, terrain: Terrain) -> Placing:
    """States the batch. Row q of everything is asks[q], in the order of their turns; ties go to whoever comes first.

    Where there is not room for everybody, no party is placed at the cost of another one's turn.
    """
    quality = np.minimum(np.maximum(estimates.quality + np.array([[ask.bias] for ask in asks]), 0.0), 1.0)
    worth = quality - np.array([[ask.risk] for ask in asks]) * estimates.quality_sd
    models, below_floor, too_dear = _admitted(asks, worth, estimates.cost_usd)
    value = estimates.cost_usd - np.array([[ask.multiplier] for ask in asks]) * worth
    per_second = np.array([[ask.usd_per_second] for ask in asks])
    of = terrain.model_of_endpoint
    pace, traffic = terrain.pace, terrain.traffic
    inputs, outputs = estimates.input_tokens.take(of, axis=1), estimates.output_tokens.take(of, axis=1)
    service = seconds_of_service(inputs, outputs, pace, traffic)
    between = slot_seconds(pace, traffic)
    start = seconds_to_start(traffic, between)
    allowed = models.take(of, axis=1) & terrain.healthy
    for row, ask in enumerate(asks):
        if ask.excluded:
            allowed[row, list(ask.excluded)] = False
    allowed = in_time(start + service, np.array([ask.ends_in_s for ask in asks]), allowed)
    slots = terrain.headroom.places
    allowed = at_home(allowed, [ask.home for ask in asks], slots)
    # where no slot is free, the time until there is one is in the price of holding
    score_usd = value.take(of, axis=1) + per_second * (service + np.where(slots > 0, start, 0.0))
    hold_usd, may_hold, patience_s = _hold(
        asks, score_usd, allowed, slots, lambda left: between * (traffic.waiting + (left + 1) / 2)
    )
    now = np.ones(len(asks), dtype=np.bool_)
    if (slots < len(asks)).any() and len({ask.party for ask in asks}) > 1:
        now = in_turn(np.where(allowed, score_usd, np.inf), np.where(may_hold, hold_usd, np.inf), slots)
    problem = Problem(
        score=nano_dollars(score_usd),
        allowed=allowed & now[:, None],
        hold=nano_dollars(hold_usd),
        may_hold=may_hold | ~now,
        slots=slots,
        gang=gangs([ask.session for ask in asks], allowed & now[:, None], slots),
        tokens=_token_rows(inputs + outputs, terrain.headroom),
        batch_quality=_batch_quality(asks, quality, of),
    )
    return Placing(
        problem=problem,
        allowed=allowed,
        score_usd=score_usd,
        below_floor=below_floor,
        too_dear=too_dear,
        patience_s=patience_s,
    )


def _admitted(asks: Sequence[Ask], worth: Floats, cost: Floats) -> tuple[Bools, Bools, Bools]:
    """(Q, M) who may answer after the client's floor and cap, and (Q,) whose floor or cap nobody meets."""
    models = np.array([ask.models for ask in asks])
    affordable = models & (cost <= np.array([[ask.max_cost_usd] for ask in asks]))
    too_dear = np.asarray(~affordable.any(axis=1))
    reaching: Bools = affordable & (worth >= np.array([[ask.floor] for ask in asks]))
    below_floor = np.asarray(~reaching.any(axis=1) & ~too_dear)
    if below_floor.any():
        best = np.where(affordable, worth, -np.inf)
        reaching[below_floor] = (affordable & (best == best.max(axis=1, keepdims=True)))[below_floor]
    return reaching, below_floor, too_dear


def _hold(
    asks: Sequence[Ask], score: Floats, allowed: Bools, slots: Ints, wait_s: Callable[[Ints], Floats]
) -> tuple[Floats, Bools, Floats]:
    """(Q,) what waiting for the best endpoint costs, in USD, whether it is open, and seconds for which it stays so.

    It is open where more queries of the batch want that endpoint than it has room for, while there is time. All are
    priced at the mean wait of those who would be left over, which `wait_s` gives for so many at each endpoint, and each
    at what it has waited already: of two that want the same slot the older gets it, and whoever has waited long enough
    goes where there is room at a higher price.
    """
    queries = np.arange(len(asks))
    open_score: Floats = np.where(allowed, score, np.inf)
    favourite = open_score.argmin(axis=1)
    someone = np.isfinite(open_score[queries, favourite])
    own = np.where(someone, open_score[queries, favourite], 0.0)
    wanted = np.bincount(favourite[someone], minlength=len(slots))
    left_over = np.maximum(wanted - slots, 0)
    wait = wait_s(left_over)
    waited = np.array([ask.waited_s for ask in asks])
    per_second = np.array([ask.usd_per_second for ask in asks])
    hold = own + per_second * (wait[favourite] + waited)
    time_left = np.array([ask.time_left_s for ask in asks]) - wait[favourite]
    elsewhere = np.where(slots > 0, open_score, np.inf)
    elsewhere[queries, favourite] = np.inf
    patience = np.minimum((elsewhere.min(axis=1) - hold) / np.maximum(per_second, LEAST_USD_PER_SECOND), time_left)
    return hold, (left_over[favourite] > 0) & (time_left > 0) & someone, patience


def _token_rows(tokens: Floats, headroom: Headroom) -> tuple[TokenRow, ...]:
    """A row per kind of token room, left out where no endpoint comes near its limit."""
    need = np.ceil(tokens).astype(np.int64)
    most = int(need.max(axis=1, initial=0).sum())
    rows = (("kv", headroom.kv), ("tokens_per_minute", headroom.tokens))
    return tuple(TokenRow(name=name, need=need, room=room) for name, room in rows if room.min(initial=most) < most)


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
