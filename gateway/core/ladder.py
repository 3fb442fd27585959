"""Problem to Assignment: always an answer, exact when it matters, never late.

Each query at its own best, if that exceeds no row; else the transportation problem, if its answer exceeds no other
row; else the joint problem, within what is left of the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gateway.core import transport
from gateway.core.argmin import own_best
from gateway.core.assignment import Assignment, Step, Warm
from gateway.core.greedy import one_by_one
from gateway.core.instance import make_instance
from gateway.core.joint import Answer, solve_jointly
from gateway.core.rows import missing_quality, side_rows_exceeded, slots_exceeded
from gateway.core.shadow import slot_savings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.instance import Instance
    from gateway.core.problem import Problem


def solve(
    problem: Problem,
    *,
    budget_s: float,
    warm: Warm | None = None,  # noqa: ARG001 - the dual method takes it
    clock: Callable[[], float] | None = None,  # noqa: ARG001 - the dual method takes it
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
            return _certified(instance, Answer(choice, instance.penalised(choice), Step.ARGMIN))
    else:
        placed = transport.place(instance.price, instance.slots)
        if placed is None:
            return _certified(instance, Answer(one_by_one(instance), instance.penalised(choice), Step.INCUMBENT))
        choice = placed
        if not side_rows_exceeded(problem, choice):
            return _certified(instance, Answer(choice, instance.penalised(choice), Step.TRANSPORT))
    return _certified(instance, solve_jointly(instance, instance.penalised(choice), seconds=budget_s))


def at_once(problem: Problem) -> Assignment:
    """An answer without any solver, for whoever cannot wait for one: query after query into the room there is."""
    instance = make_instance(problem)
    bound = instance.penalised(own_best(instance.price, instance.slots))
    return _certified(instance, Answer(one_by_one(instance), bound, Step.INCUMBENT))


def _certified(instance: Instance, answer: Answer) -> Assignment:
    """The answer with its certificate, in money: penalties are taken out of both sides."""
    choice = answer.choice
    objective = instance.objective(choice)
    without_room = instance.without_room(choice)
    bound = math.ceil(answer.bound - without_room * instance.penalty - 1e-3)
    exact = answer.step in (Step.ARGMIN, Step.TRANSPORT)
    return Assignment(
        choice=choice,
        objective=objective,
        bound=min(objective, bound),
        step=answer.step,
        gain=0 if answer.step is Step.ARGMIN else instance.objective(one_by_one(instance)) - objective,
        shadow=slot_savings(instance, choice) if exact else np.zeros(instance.shape[1], np.int64),
        without_room=without_room,
        missing_quality=missing_quality(instance.problem, choice),
        warm=None,
    )
