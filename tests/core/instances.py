"""Problems to solve: small odd ones to enumerate, and large ones shaped like traffic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD, NO_GANG, BatchQuality, Budget, Problem, TokenRow

if TYPE_CHECKING:
    from gateway.core.problem import Ints


@dataclass(frozen=True)
class Rows:
    """Which rows a made problem has."""

    tokens: bool = False
    gang: bool = False
    quality: bool = False
    budget: bool = False


def small(seed: int, rows: Rows | None = None, *, queries: int = 5, endpoints: int = 3) -> Problem:
    """Few values, so that ties, zeros and full endpoints are common."""
    rng = np.random.default_rng(seed)
    q, e = int(rng.integers(0, queries + 1)), int(rng.integers(0, endpoints + 1))
    span = int(rng.choice([2, 10, 1000]))
    tokens = tuple(
        TokenRow(name=name, need=rng.integers(0, 6, (q, e)), room=rng.integers(-1, 14, e))
        for name in ("kv", "tokens_per_minute")[: int(rng.integers(1, 3))]
    )
    quality = BatchQuality(
        quality=rng.integers(0, 11, (q, e)) * 1000, asked=int(rng.integers(2, 10)) * 1000, members=rng.random(q) < 0.8
    )
    budget = Budget(cost=rng.integers(0, 6, (q, e)), limit=int(rng.integers(-1, 12)), members=rng.random(q) < 0.8)
    rows = rows or Rows()
    return Problem(
        score=rng.integers(-span, span + 1, (q, e)),
        allowed=rng.random((q, e)) < rng.choice([0.5, 0.9, 1.0]),
        hold=rng.integers(-span, span + 1, q),
        may_hold=rng.random(q) < rng.choice([0.0, 0.5, 1.0]),
        slots=rng.integers(-1, 4, e),
        gang=rng.integers(NO_GANG, 2, q) if rows.gang else None,
        tokens=tokens if rows.tokens else (),
        batch_quality=quality if rows.quality else None,
        budgets=(budget,) if rows.budget else (),
    )


def traffic(
    seed: int, queries: int, endpoints: int, *, load: float = 1.2, rows: Rows | None = None, may_hold: bool = True
) -> Problem:
    """Prices over two orders of magnitude, better models dearer, slots for queries / load in all."""
    rng = np.random.default_rng(seed)
    rows = rows or Rows()
    usd = np.geomspace(2e-5, 4e-3, endpoints) * rng.lognormal(0, 0.3, endpoints)
    length = rng.lognormal(0, 0.7, queries)
    cost = np.rint(1e9 * usd * length[:, None] * rng.lognormal(0, 0.2, (queries, endpoints))).astype(np.int64)
    ability = np.linspace(-0.3, 1.6, endpoints) - rng.normal(0, 1.2, queries)[:, None]
    chance = 1 / (1 + np.exp(-ability - rng.normal(0, 0.4, (queries, endpoints))))
    quality = np.rint(1e4 * chance).astype(np.int64)
    worth = 0 if rows.quality else int(rng.choice([1e5, 4e5, 1.2e6]))  # nano-dollars per 1/10,000
    score = cost - worth * quality // 100
    need = np.rint(400 * length[:, None] * rng.lognormal(0, 0.3, (queries, endpoints))).astype(np.int64)
    slots = np.maximum(1, rng.multinomial(max(1, int(queries / load)), np.full(endpoints, 1 / endpoints)))
    room = np.rint(0.8 * slots * need.mean() * rng.uniform(0.6, 1.4, endpoints)).astype(np.int64)
    asked = int(np.quantile(quality.mean(axis=0), 0.6))
    return Problem(
        score=score,
        allowed=rng.random((queries, endpoints)) < 0.95,
        hold=score.min(axis=1) + rng.integers(10_000, 2_000_000, queries),
        may_hold=np.full(queries, may_hold),
        slots=slots.astype(np.int64),
        gang=np.where(rng.random(queries) < 0.2, rng.integers(0, max(1, queries // 8), queries), NO_GANG)
        if rows.gang
        else None,
        tokens=(TokenRow(name="tokens_per_minute", need=need, room=room),) if rows.tokens else (),
        batch_quality=BatchQuality(quality=quality, asked=asked, members=np.ones(queries, bool))
        if rows.quality
        else None,
        budgets=(Budget(cost=cost, limit=int(cost.min(axis=1).sum() * 3), members=np.ones(queries, bool)),)
        if rows.budget
        else (),
    )


@dataclass(frozen=True)
class Optimum:
    """What enumeration says: fewest without room, then least missing quality, then least money."""

    without_room: int
    missing_quality: int
    objective: int


def enumerate_all(problem: Problem) -> Optimum:
    """Every choice there is, (E + 1) ** Q of them."""
    queries, endpoints = problem.shape
    every = np.array(list(product(range(HELD, endpoints), repeat=queries)), np.int64).reshape(
        (endpoints + 1) ** queries, queries
    )
    legal = _legal(problem, every)
    every = every[legal]
    stranded = ((every == HELD) & ~problem.may_hold).sum(axis=1)
    missing = _missing(problem, every)
    money = _picked(problem.score, every).sum(axis=1) + np.where(every == HELD, _charge(problem), 0).sum(axis=1)
    first = np.lexsort((money, missing, stranded))[0]
    return Optimum(int(stranded[first]), int(missing[first]), int(money[first]))


def _picked(cells: Ints, every: Ints) -> Ints:
    """(N, Q) the cell of each choice, 0 where held."""
    if not cells.shape[1]:
        return np.zeros_like(every)
    picked: Ints = np.where(every == HELD, 0, cells[np.arange(every.shape[1]), every])
    return picked


def _legal(problem: Problem, every: Ints) -> np.typing.NDArray[np.bool_]:
    legal = np.ones(len(every), bool)
    if problem.shape[1]:
        legal &= (_picked(problem.allowed.astype(np.int64), every) + (every == HELD)).all(axis=1)
    for endpoint in range(problem.shape[1]):
        here = every == endpoint
        legal &= here.sum(axis=1) <= max(0, problem.slots[endpoint])
        for row in problem.tokens:
            legal &= (here * row.need[:, endpoint]).sum(axis=1) <= max(0, row.room[endpoint])
    for budget in problem.budgets:
        legal &= _picked(budget.cost * budget.members[:, None], every).sum(axis=1) <= max(0, budget.limit)
    if problem.gang is not None:
        for one in range(problem.shape[0]):
            for two in range(one):
                if problem.gang[one] == problem.gang[two] >= 0:
                    together = every[:, one] == every[:, two]
                    legal &= together | (every[:, one] == HELD) | (every[:, two] == HELD)
    return legal


def _missing(problem: Problem, every: Ints) -> Ints:
    row = problem.batch_quality
    if row is None:
        return np.zeros(len(every), np.int64)
    surplus = _picked((row.quality - row.asked) * row.members[:, None], every).sum(axis=1)
    missing: Ints = np.maximum(0, -surplus)
    return missing


def _charge(problem: Problem) -> Ints:
    """(Q,) what being held costs."""
    charge = problem.hold.copy()
    for query in np.flatnonzero(~problem.may_hold):
        for endpoint in range(problem.shape[1]):
            fits = problem.allowed[query, endpoint]
            fits &= all(row.need[query, endpoint] <= max(0, row.room[endpoint]) for row in problem.tokens)
            for budget in problem.budgets:
                fits &= not budget.members[query] or budget.cost[query, endpoint] <= max(0, budget.limit)
            if fits:
                charge[query] = max(charge[query], problem.score[query, endpoint])
    return charge
