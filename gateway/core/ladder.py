"""Problem to Assignment: always an answer, exact when it matters, never late.

Each query at its own best, if that exceeds no row; else the transportation problem, if its answer exceeds no other
row; else the joint problem, within what is left of the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gateway.core import cpsat, transport
from gateway.core.argmin import own_best
from gateway.core.assignment import EXACT, Assignment, Step, Warm
from gateway.core.greedy import one_by_one
from gateway.core.instance import make_instance
from gateway.core.joint import Answer, solve_jointly
from gateway.core.problem import HELD, Problem
from gateway.core.relaxation import ROUNDING
from gateway.core.rows import missing_quality, side_rows_exceeded, slots_exceeded
from gateway.core.shadow import slot_savings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.instance import Instance
    from gateway.core.placing import Placing
    from gateway.core.problem import Ints


PREPARING_S = 1.0


def solve(
    problem: Problem,
    *,
    budget_s: float,
    warm: Warm | None = None,
    clock: Callable[[], float] | None = None,
) -> Assignment:
    """Decides a batch. Any Problem whose arrays have the right shapes gets an answer; nothing is raised.

    Args:
        problem: Who may go where, at what price, into how much room.
        budget_s: Seconds for the joint solve; the first two rungs take what they need, a few milliseconds.
        warm: The `warm` of the last Assignment over the same endpoints; a wrong one costs time, not correctness.
        clock: Seconds, monotonic. With it, what the other rungs have taken comes off the solver's time.
    """
    instance = make_instance(problem)
    choice = own_best(instance.price, instance.slots)
    if not slots_exceeded(problem, choice):
        if not side_rows_exceeded(problem, choice):
            return _certified(instance, Answer(choice, instance.penalised(choice), Step.ARGMIN), warm)
    else:
        placed = transport.place(instance.price, instance.slots)
        if placed is None:
            return _certified(instance, Answer(one_by_one(instance), instance.penalised(choice), Step.INCUMBENT), warm)
        choice = placed
        if not side_rows_exceeded(problem, choice):
            return _certified(instance, Answer(choice, instance.penalised(choice), Step.TRANSPORT), warm)
    if len(choice) == 1:  # what does not fit alone is closed, so only a quality row is left, with one member
        choice = one_by_one(instance)
        return _certified(instance, Answer(choice, instance.penalised(choice), Step.DUAL, greedy=choice), warm)
    floor = instance.penalised(choice)
    return _certified(instance, solve_jointly(instance, floor, seconds=budget_s, warm=warm, clock=clock))


def prepare() -> None:
    """Fetches the solvers (half a second of imports) and runs each once: on the solver's thread, ahead of need."""
    one = np.ones((2, 1), np.int64)
    crowded = Problem(
        score=one, allowed=one > 0, hold=one[:, 0], may_hold=np.zeros(2, bool), slots=np.ones(1, np.int64)
    )
    solve(crowded, budget_s=PREPARING_S)
    cpsat.refine(
        make_instance(crowded), np.ones((2, 2), bool), np.full(2, HELD), missing=0, seconds=PREPARING_S, gap=0.0
    )


def unopposed(placing: Placing) -> Assignment | None:
    """The first rung for a batch in which nothing stands against anybody's own best; None where something may."""
    choice = placing.clear
    if choice is None:
        return None
    price = placing.price
    money = int(sum(price.item(row, column) for row, column in enumerate(choice.tolist())))  # far below 2**53
    nothing = np.zeros(len(placing.slots), np.int64)
    return Assignment(choice=choice, objective=money, bound=money, step=Step.ARGMIN, gain=0, shadow=nothing)


def separable(problem: Problem) -> Assignment | None:
    """The first rung alone, for a caller that would have to fetch the others: None when some row is exceeded."""
    instance = make_instance(problem)
    choice = own_best(instance.price, instance.slots)
    if slots_exceeded(problem, choice) or side_rows_exceeded(problem, choice):
        return None
    return _certified(instance, Answer(choice, instance.penalised(choice), Step.ARGMIN))


def at_once(problem: Problem) -> Assignment:
    """An answer without any solver, for whoever cannot wait for one: query after query into the room there is."""
    instance = make_instance(problem)
    bound = instance.penalised(own_best(instance.price, instance.slots))
    return _certified(instance, Answer(one_by_one(instance), bound, Step.INCUMBENT))


def _certified(instance: Instance, answer: Answer, warm: Warm | None = None) -> Assignment:
    """The answer with its certificate, in money: penalties are taken out of both sides."""
    choice = answer.choice
    objective = instance.objective(choice)
    without_room = instance.without_room(choice)
    if answer.step is Step.ARGMIN:
        gain = 0
    else:
        gain = instance.objective(one_by_one(instance) if answer.greedy is None else answer.greedy) - objective
    if answer.step in EXACT:
        bound, shadow = objective, slot_savings(instance, choice, at_own_best=answer.step is Step.ARGMIN)
    else:
        bound = math.floor(answer.bound - ROUNDING * abs(answer.bound)) - without_room * instance.penalty
        shadow = _prices_of_slots(instance, answer.warm)
    return Assignment(
        choice=choice,
        objective=objective,
        bound=min(objective, bound),
        step=answer.step,
        gain=gain,
        shadow=shadow,
        without_room=without_room,
        missing_quality=missing_quality(instance.problem, choice),
        warm=warm if answer.warm is None else answer.warm,
    )


def _prices_of_slots(instance: Instance, warm: Warm | None) -> Ints:
    """(E,) what a slot is worth by the prices of the rows, an estimate; a stranded query's penalty is no money."""
    if warm is None:
        return np.zeros(instance.shape[1], np.int64)
    price: Ints = np.rint(warm.prices[: instance.shape[1]]).astype(np.int64)
    if instance.penalty:
        price %= instance.penalty
    return price
