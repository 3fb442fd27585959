"""Every method at every load, and the decision's real time by size of fleet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.problem import HELD
from gateway.lab.methods import METHODS, OURS
from gateway.lab.simulate.engine import Engine, Work
from gateway.lab.simulate.fleet import Fleet, service_seconds
from gateway.lab.simulate.trace import arrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Case
    from gateway.lab.simulate.engine import Ran

LOADS: Final = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5)
SIZES: Final = (8, 64, 256, 1_000)  # endpoints
SIZE_SLOTS: Final = 64
SIZE_LOAD: Final = 0.9
SIZE_QUERIES: Final = 10_000
SIZE_OUTPUT: Final = 60.0  # tokens of a mean answer: with them 1,000 endpoints take some 10,000 queries a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Q queries of a pool that a trace draws from, with M models.

    Args:
        case: estimates, promise and sample.
        score, paid: (Q, M) what came of them; paid in USD.
        input_tokens, output_tokens: (Q, M).
    """

    case: Case
    score: Floats
    paid: Floats
    input_tokens: Floats
    output_tokens: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One method at one load. Shares are 0..1, times in seconds, money in USD per 1,000 queries served."""

    method: str
    load: float
    queries: int
    rate: float  # queries per second
    hours: float  # of virtual time
    cost_per_1k: float
    success: float
    promise_error: float  # success less what was asked
    waited_mean: float
    waited_p95: float
    finish_mean: float
    finish_p95: float
    shed: float
    decision_ms_p50: float
    decision_ms_p99: float
    batch_mean: float
    joint_gain: float  # saved by solving batches as one, of the predicted cost of what was served
    real_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a decision really takes for a fleet of this size, at a load of SIZE_LOAD."""

    endpoints: int
    rate: float
    batch_mean: float
    batch_max: int
    decision_ms_p50: float
    decision_ms_p99: float
    busy: float  # share of one core that decisions took of the virtual time


def compare(
    ground: Ground,
    fleet: Fleet,
    *,
    methods: Sequence[str],
    loads: Sequence[float],
    queries: int,
    kind: str,
    seed: int,
    tick: Callable[[], None],
) -> list[Figures]:
    """All methods on the same traces, load by load."""
    rows, figures = _drawn(ground, queries, seed), []
    case = _case(ground.case, rows)
    capacity = fleet.capacity(service_seconds(ground.input_tokens, ground.output_tokens, fleet.slots - 1))
    for load in loads:
        arrival = arrivals(kind, queries, load * capacity, np.random.default_rng(seed))
        work = Work(arrival, ground.input_tokens[rows], ground.output_tokens[rows])
        for method in methods:
            began = perf_counter()
            ran = Engine(fleet, work, METHODS[method](case)).run()
            seconds = perf_counter() - began
            figures.append(_figures(method, load, ground, rows=rows, work=work, ran=ran, case=case, seconds=seconds))
            tick()
    return figures


def sizes(
    ground: Ground, counts: Sequence[int], seed: int, tick: Callable[[], None], *, least: int = SIZE_QUERIES
) -> list[Size]:
    """Ours on fleets of growing size, as many queries a second as they take, answers scaled to SIZE_OUTPUT tokens."""
    output_tokens = ground.output_tokens * (SIZE_OUTPUT / ground.output_tokens.mean())
    made = []
    for endpoints in counts:
        fleet = Fleet.even(ground.score.shape[1], endpoints, SIZE_SLOTS)
        seconds = service_seconds(ground.input_tokens, output_tokens, SIZE_SLOTS - 1)
        rate = SIZE_LOAD * fleet.capacity(seconds)
        # as long as it takes for the fleet to fill, and then some
        queries = max(least, int(3 * rate * seconds.mean()))
        rows = _drawn(ground, queries, seed)
        arrival = arrivals("poisson", queries, rate, np.random.default_rng(seed))
        work = Work(arrival, ground.input_tokens[rows], output_tokens[rows])
        ran = Engine(fleet, work, METHODS[OURS](_case(ground.case, rows))).run()
        late = slice(len(ran.decision_s) // 2, None)
        made.append(
            Size(
                endpoints=endpoints,
                rate=rate,
                batch_mean=float(ran.decided[late].mean()),
                batch_max=int(ran.decided.max()),
                decision_ms_p50=1_000 * float(np.quantile(ran.decision_s[late], 0.5)),
                decision_ms_p99=1_000 * float(np.quantile(ran.decision_s[late], 0.99)),
                busy=float(ran.decision_s.sum() / arrival[-1]),
            )
        )
        tick()
    return made


def _drawn(ground: Ground, queries: int, seed: int) -> Ints:
    """(N,) rows of the pool: shuffled, and again from the start where it is too short."""
    draw = np.random.default_rng(seed)
    have = len(ground.score)
    rounds = [draw.permutation(have) for _ in range(-(-queries // have))]
    return np.concatenate(rounds)[:queries].astype(np.int64)


def _case(case: Case, rows: Ints) -> Case:
    return replace(
        case,
        quality=case.quality[rows],
        quality_sd=case.quality_sd[rows],
        cost=case.cost[rows],
        plain=case.plain[rows],
    )


def _figures(
    method: str, load: float, ground: Ground, *, rows: Ints, work: Work, ran: Ran, case: Case, seconds: float
) -> Figures:
    served = ran.choice != HELD
    picked = rows[served], ran.choice[served]
    waited = ran.started[served] - work.arrival[served]
    finish = ran.finished[served] - work.arrival[served]
    success = float(np.nanmean(ground.score[picked]))
    return Figures(
        method=method,
        load=load,
        queries=len(rows),
        rate=len(rows) / float(work.arrival[-1]),
        hours=float(work.arrival[-1]) / 3_600,
        cost_per_1k=1_000 * float(np.nanmean(ground.paid[picked])),
        success=success,
        promise_error=success - case.asked,
        waited_mean=float(waited.mean()),
        waited_p95=float(np.quantile(waited, 0.95)),
        finish_mean=float(finish.mean()),
        finish_p95=float(np.quantile(finish, 0.95)),
        shed=1.0 - float(served.mean()),
        decision_ms_p50=1_000 * float(np.quantile(ran.decision_s, 0.5)),
        decision_ms_p99=1_000 * float(np.quantile(ran.decision_s, 0.99)),
        batch_mean=float(ran.decided.mean()),
        joint_gain=ran.gain_usd / max(float(np.nansum(case.cost[served, ran.choice[served]])), 1e-12),
        real_s=seconds,
    )
