"""Runs a method over a file of queries, batch by batch, into the room that each batch has."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.greedy import one_by_one
from gateway.core.instance import make_instance
from gateway.core.ladder import solve
from gateway.core.problem import HELD, NANO, QUALITY_UNIT, BatchQuality, Problem, nano_dollars
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.problem import Floats, Ints
    from gateway.lab.methods.case import Case, Method, Offer

SOLVER_S: Final = 0.25  # per batch; only batches with a quality row come near it


def assign_file(case: Case, method: Method, tick: Callable[[int], None] = lambda _done: None) -> Ints:
    """(N,) the model of each query. Whoever finds no room waits for the next batch, before those that come after.

    Raises:
        ConfigurationError: some query can never be placed.
    """
    queries = len(case.cost)
    chosen = np.full(queries, HELD, dtype=np.int64)
    sequence = arrival(case)
    waiting = sequence[:0]
    upcoming = 0
    while len(waiting) or upcoming < queries:
        fresh = min(queries, upcoming + case.batch_size - len(waiting))
        rows = np.concatenate([waiting, sequence[upcoming:fresh]])
        upcoming = fresh
        placed = place(method.offer(rows), case.slots)
        choice = placed.choice
        found = choice != HELD
        if not found.any():
            raise ConfigurationError(f"no model takes query {rows[0] + 1}: give --capacity room for every query")
        chosen[rows[found]] = choice[found]
        method.placed(rows[found], choice[found], displaced=placed.displaced)
        waiting = rows[~found]
        tick(int(found.sum()))
    return chosen


def arrival(case: Case) -> Ints:
    """(N,) rows in the order in which they are decided.

    Unless the file is a trace it is shuffled: row by row, or, where room is counted per batch, by whole batches of
    neighbours, the short one last.
    """
    rows = np.arange(len(case.cost))
    if case.in_order:
        return rows
    draw = np.random.default_rng(case.seed)
    if (case.slots >= case.batch_size).all():
        return draw.permutation(rows)
    whole = len(rows) // case.batch_size * case.batch_size
    batches = rows[:whole].reshape(-1, case.batch_size)
    return np.concatenate([draw.permutation(batches).ravel(), rows[whole:]])


@dataclass(frozen=True, slots=True)
class Placed:
    """One batch's answer.

    Args:
        choice: (Q,) the model of each query, or HELD.
        displaced: room changed a choice.
        gain_usd: what the joint solve saved against placing one by one.
    """

    choice: Ints
    displaced: bool
    gain_usd: float = 0.0


def place(offer: Offer, slots: Ints, urgency: Floats | None = None, *, budget_s: float = SOLVER_S) -> Placed:
    """Places a batch.

    Args:
        offer: What the method makes of it.
        slots: (M,) how many queries each model takes.
        urgency: (Q,) USD by which leaving a query without room is dearer than leaving another; None for none.
        budget_s: Seconds that a joint solve may take.
    """
    problem = _problem(offer, slots, urgency)
    # not the solver's step: what is full beforehand is closed to it, and then each query's own best is elsewhere
    alone = np.where(problem.allowed, problem.score, np.iinfo(np.int64).max).min(axis=1)
    if offer.joint:
        assignment = solve(problem, budget_s=budget_s, clock=perf_counter)
        return Placed(assignment.choice, _moved(problem, assignment.choice, alone), assignment.gain / NANO)
    choice = one_by_one(make_instance(problem))
    return Placed(choice, _moved(problem, choice, alone))


def _moved(problem: Problem, choice: Ints, alone: Ints) -> bool:
    """Whether some query went, or waits, where it scores worse than at its own best."""
    return bool(((choice == HELD) | (problem.score[np.arange(len(choice)), choice] > alone)).any())


def _problem(offer: Offer, slots: Ints, urgency: Floats | None) -> Problem:
    queries, _ = offer.score.shape
    row = None
    if offer.quality is not None:
        row = BatchQuality(
            quality=np.rint(offer.quality * QUALITY_UNIT).astype(np.int64),
            asked=round(offer.asked * QUALITY_UNIT),
            members=np.ones(queries, dtype=np.bool_),
        )
    score, allowed = nano_dollars(offer.score), np.isfinite(offer.score)
    hold = np.zeros(queries, dtype=np.int64)
    if urgency is not None:
        hold = score.max(axis=1, initial=0, where=allowed) + nano_dollars(urgency)
    return Problem(
        score=score,
        allowed=allowed,
        hold=hold,
        may_hold=np.zeros(queries, dtype=np.bool_),
        slots=slots,
        batch_quality=row,
    )
