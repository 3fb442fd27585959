"""The third rung: token, gang, quality or budget rows bind. CP-SAT on the cells that could be in an optimum.

The model is written straight into the proto, one small function per family: 64 x 8 takes a few milliseconds instead of
the modelling layer's thirty, in many short calls, so that the event loop gets its turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD

if TYPE_CHECKING:
    from ortools.sat.python.cp_model_helper import CpModelProto

    from gateway.core.instance import Instance
    from gateway.core.problem import Bools, Ints

# What a foreign solver can raise on a model that it does not like, or when it is not there at all.
FAILURES = (ImportError, MemoryError, OverflowError, RuntimeError, ValueError)
STOP_GAP = 1e-4  # of the objective; a gap under 0.1 % is not worth a millisecond more


@dataclass(frozen=True, slots=True)
class Cells:
    """The variables: N placements (query, endpoint), then Q holds."""

    query: Ints  # (N,)
    endpoint: Ints  # (N,)
    queries: int

    def held(self, query: int) -> int:
        """The variable of a query's hold."""
        return len(self.query) + query

    def of_endpoint(self, endpoint: int) -> Ints:
        """The variables that place a query there."""
        return np.flatnonzero(self.endpoint == endpoint)


def refine(
    instance: Instance, open_cells: Bools, incumbent: Ints, *, missing: int, seconds: float
) -> tuple[Ints, float] | None:
    """A choice at least as cheap as the incumbent, and a bound on the penalised objective; None when there is neither.

    Args:
        instance: What to solve.
        open_cells: (Q, E) the cells to look at.
        incumbent: (Q,) a choice within them that keeps every row; where the search starts.
        missing: By how much the quality row may be missed, in 1/10,000.
        seconds: How long the solver may search.
    """
    query, endpoint = np.nonzero(open_cells)
    cells = Cells(query=query, endpoint=endpoint, queries=len(open_cells))
    try:
        return _solve(instance, cells, incumbent, missing, seconds)
    except FAILURES:
        return None  # the caller keeps its incumbent and says so in the step


def _solve(
    instance: Instance, cells: Cells, incumbent: Ints, missing: int, seconds: float
) -> tuple[Ints, float] | None:
    from ortools.sat.python import cp_model  # noqa: PLC0415 - 0.4 s to import: not before the first such batch

    model = cp_model.CpModel()
    proto = model.proto
    _add_variables(proto, cells)
    _add_placement(proto, cells)
    _add_slots(proto, cells, instance)
    _add_tokens(proto, cells, instance)
    _add_gangs(proto, cells, instance)
    _add_quality(proto, cells, instance, missing)
    _add_budgets(proto, cells, instance)
    _add_objective(proto, cells, instance)
    _add_hint(proto, cells, incumbent)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.relative_gap_limit = STOP_GAP
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    taken = np.array(list(solver.response_proto.solution)[: len(cells.query)], dtype=bool)
    choice = np.full(cells.queries, HELD, np.int64)
    choice[cells.query[taken]] = cells.endpoint[taken]
    return choice, float(solver.best_objective_bound)


def _add_variables(proto: CpModelProto, cells: Cells) -> None:
    for _ in range(len(cells.query) + cells.queries):
        proto.variables.add().domain.extend((0, 1))


def _add_row(proto: CpModelProto, variables: Ints, coefficients: Ints, low: int, high: int) -> None:
    row = proto.constraints.add().linear
    row.vars.extend(variables.tolist())
    row.coeffs.extend(coefficients.tolist())
    row.domain.extend((low, high))


def _add_placement(proto: CpModelProto, cells: Cells) -> None:
    """Every query is placed once or held."""
    options: list[list[int]] = [[cells.held(query)] for query in range(cells.queries)]
    for variable, query in enumerate(cells.query.tolist()):
        options[query].append(variable)
    for literals in options:
        proto.constraints.add().exactly_one.literals.extend(literals)


def _add_slots(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    slots = instance.slots
    for endpoint in range(len(slots)):
        here = cells.of_endpoint(endpoint)
        if len(here) > slots[endpoint]:
            _add_row(proto, here, np.ones_like(here), 0, int(slots[endpoint]))


def _add_tokens(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    for row in instance.problem.tokens:
        for endpoint, room in enumerate(np.maximum(row.room, 0).tolist()):
            here = cells.of_endpoint(endpoint)
            need = row.need[cells.query[here], endpoint]
            if need.sum() > room:
                _add_row(proto, here, need, 0, room)


def _add_gangs(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    """A gang has at most one home, and its members go nowhere else."""
    if instance.problem.gang is None:
        return
    gang = instance.problem.gang[cells.query]
    for number in np.unique(gang[gang >= 0]):
        members = np.flatnonzero(gang == number)
        homes = {}
        for variable in members:
            endpoint = int(cells.endpoint[variable])
            if endpoint not in homes:
                homes[endpoint] = len(proto.variables)
                proto.variables.add().domain.extend((0, 1))
            goes = proto.constraints.add()
            goes.enforcement_literal.append(int(variable))
            goes.bool_and.literals.append(homes[endpoint])
        if homes:
            proto.constraints.add().at_most_one.literals.extend(list(homes.values()))


def _add_quality(proto: CpModelProto, cells: Cells, instance: Instance, missing: int) -> None:
    row = instance.problem.batch_quality
    if row is None:
        return
    counted = np.flatnonzero(row.members[cells.query])
    surplus = row.quality[cells.query[counted], cells.endpoint[counted]] - row.asked
    _add_row(proto, counted, surplus, -missing, int(np.abs(surplus).sum()))


def _add_budgets(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    for budget in instance.problem.budgets:
        counted = np.flatnonzero(budget.members[cells.query])
        cost = budget.cost[cells.query[counted], cells.endpoint[counted]]
        _add_row(proto, counted, cost, int(np.minimum(cost, 0).sum()), max(0, budget.limit))


def _add_objective(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    placed = instance.price[cells.query, cells.endpoint]
    proto.objective.vars.extend(range(len(cells.query) + cells.queries))
    proto.objective.coeffs.extend(placed.tolist() + instance.held_price.tolist())


def _add_hint(proto: CpModelProto, cells: Cells, incumbent: Ints) -> None:
    taken = (incumbent[cells.query] == cells.endpoint).tolist() + (incumbent == HELD).tolist()
    proto.solution_hint.vars.extend(range(len(taken)))
    proto.solution_hint.values.extend([int(value) for value in taken])
