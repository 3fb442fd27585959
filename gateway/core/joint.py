"""Token, gang, quality or budget rows bind: an incumbent first, then CP-SAT with what is left of the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core import cpsat
from gateway.core.assignment import Step
from gateway.core.greedy import one_by_one
from gateway.core.instance import CLOSED, quality_instance
from gateway.core.rows import capacity_exceeded, missing_quality

if TYPE_CHECKING:
    from gateway.core.instance import Instance
    from gateway.core.problem import Ints


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rung of the ladder found. Bound is penalised."""

    choice: Ints
    bound: float
    step: Step


def solve_jointly(instance: Instance, floor: float, *, seconds: float) -> Answer:
    """The best choice found, and a bound on all of them that is at least `floor`."""
    incumbent = one_by_one(instance)
    row = instance.problem.batch_quality
    if row is not None and _rank(instance, incumbent)[:2] > (0, 0):
        quality = quality_instance(instance, row)
        best = solve_jointly(quality, -math.inf, seconds=seconds / 2).choice
        incumbent = min(incumbent, best, key=lambda choice: _rank(instance, choice))
    missing = missing_quality(instance.problem, incumbent)
    found = cpsat.refine(instance, instance.price[:, :-1] < CLOSED, incumbent, missing=missing, seconds=seconds)
    if found is None:
        return Answer(incumbent, floor, Step.INCUMBENT)
    choice, bound = found
    if capacity_exceeded(instance.problem, choice) or instance.penalised(choice) > instance.penalised(incumbent):
        choice = incumbent
    return Answer(choice, max(floor, bound), Step.CP_SAT)


def _rank(instance: Instance, choice: Ints) -> tuple[int, int, int]:
    """What counts, in this order: nobody without room, quality, money."""
    return (
        instance.without_room(choice),
        missing_quality(instance.problem, choice),
        instance.objective(choice),
    )
