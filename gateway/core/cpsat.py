"""CP-SAT on the cells that are still in question.

The model is written straight into the proto, one small function per family of rows, in many short calls: 64 x 8 takes
a millisecond or two instead of the modelling layer's thirty, and the event loop gets its turn in between.
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
# Tried on 64 x 8 with 30 and 100 ms: full linearisation finds what the defaults need three times as long for, and
# probing and symmetry are spent before the search begins.
PARAMETERS = {"num_workers": 1, "linearization_level": 2, "cp_model_probing_level": 0, "symmetry_level": 0}


@dataclass(frozen=True, slots=True)
class Cells:
    """The variables, one per cell in question. Column E is being held."""

    query: Ints  # (N,)
    column: Ints  # (N,)
    settled: Ints  # (Q,) the column of each query that has only one left, else UNSETTLED

    @property
    def endpoints_taken(self) -> tuple[Ints, Ints]:
        """The settled queries that are placed, and where."""
        queries = np.flatnonzero(self.settled >= 0)
        return queries, self.settled[queries]

    def at(self, endpoint: int) -> Ints:
        """The variables that place a query there."""
        return np.flatnonzero(self.column == endpoint)


UNSETTLED = -2  # HELD is -1


@dataclass(frozen=True, slots=True)
class Found:
    """A choice, and a bound on the penalised objective of all choices within the cells."""

    choice: Ints
    bound: float


def refine(
    instance: Instance, keep: Bools, incumbent: Ints, *, missing: int, seconds: float, gap: float
) -> Found | None:
    """The best choice within `keep` (Q, E + 1) that the time allows; None when there is no answer.

    Args:
        instance: What to solve.
        keep: The columns to choose from; at least one a query, among them the incumbent's.
        incumbent: (Q,) a choice that keeps every row; where the search starts.
        missing: By how much the quality row may be missed, in 1/10,000.
        seconds: How long the solver may search.
        gap: Relative gap at which it may stop.
    """
    try:
        return _solve(instance, _cells(instance, keep), incumbent, missing, (seconds, gap))
    except FAILURES:
        return None  # the caller keeps its incumbent


def _cells(instance: Instance, keep: Bools) -> Cells:
    """A query with one column left is no question, unless its gang has to follow it."""
    single = keep.sum(axis=1) == 1
    if instance.problem.gang is not None:
        single &= instance.problem.gang < 0
    column = keep.argmax(axis=1)
    held = keep.shape[1] - 1
    settled = np.where(single, np.where(column == held, HELD, column), UNSETTLED)
    query, column = np.nonzero(keep & ~single[:, None])
    return Cells(query=query, column=column, settled=settled)


def _solve(
    instance: Instance, cells: Cells, incumbent: Ints, missing: int, limits: tuple[float, float]
) -> Found | None:
    from ortools.sat.python import cp_model  # noqa: PLC0415 - 0.4 s to import: not before the first such batch

    model = cp_model.CpModel()
    proto = model.proto
    for _ in range(len(cells.query)):
        proto.variables.add().domain.extend((0, 1))
    _add_placement(proto, cells)
    _add_slots(proto, cells, instance)
    _add_tokens(proto, cells, instance)
    _add_gangs(proto, cells, instance)
    _add_quality(proto, cells, instance, missing)
    _add_budgets(proto, cells, instance)
    settled = _add_objective(proto, cells, instance)
    _add_hint(proto, cells, incumbent, instance.shape[1])
    solver = cp_model.CpSolver()
    for name, value in PARAMETERS.items():
        setattr(solver.parameters, name, value)
    solver.parameters.max_time_in_seconds, solver.parameters.relative_gap_limit = limits
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    taken = np.array(list(solver.response_proto.solution)[: len(cells.query)], dtype=bool)
    choice = cells.settled.copy()
    choice[cells.query[taken]] = cells.column[taken]
    choice[choice == instance.shape[1]] = HELD
    return Found(choice, solver.best_objective_bound + settled)


def _add_row(proto: CpModelProto, variables: Ints, coefficients: Ints, low: int, high: int) -> None:
    row = proto.constraints.add().linear
    row.vars.extend(variables.tolist())
    row.coeffs.extend(coefficients.tolist())
    row.domain.extend((min(low, high), high))


def _add_placement(proto: CpModelProto, cells: Cells) -> None:
    """Every query takes one of its columns."""
    _, first = np.unique(cells.query, return_index=True)
    for options in np.split(np.arange(len(cells.query)), first[1:]):
        if len(options):
            proto.constraints.add().exactly_one.literals.extend(options.tolist())


def _add_room(proto: CpModelProto, cells: Cells, need: Ints, room: Ints) -> None:
    """What the cells of each endpoint need stays within what the settled queries leave."""
    queries, where = cells.endpoints_taken
    left = room.copy()
    np.subtract.at(left, where, need[queries, where])
    for endpoint, rest in enumerate(left.tolist()):
        here = cells.at(endpoint)
        needed = need[cells.query[here], endpoint]
        if needed.sum() > rest:
            _add_row(proto, here, needed, 0, rest)


def _add_slots(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    _add_room(proto, cells, np.ones(instance.shape, np.int64), instance.slots)


def _add_tokens(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    for row in instance.problem.tokens:
        _add_room(proto, cells, row.need, np.maximum(row.room, 0))


def _add_gangs(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    """A gang has at most one home, and its members go nowhere else."""
    if instance.problem.gang is None:
        return
    gang = np.where(cells.column < instance.shape[1], instance.problem.gang[cells.query], HELD)
    for number in np.unique(gang[gang >= 0]):
        homes: dict[int, int] = {}
        for variable in np.flatnonzero(gang == number).tolist():
            endpoint = int(cells.column[variable])
            if endpoint not in homes:
                homes[endpoint] = len(proto.variables)
                proto.variables.add().domain.extend((0, 1))
            goes = proto.constraints.add()
            goes.enforcement_literal.append(variable)
            goes.bool_and.literals.append(homes[endpoint])
        proto.constraints.add().at_most_one.literals.extend(list(homes.values()))


def _add_sum(proto: CpModelProto, cells: Cells, worth: Ints, limit: int) -> None:
    """The sum of `worth` (Q, E) over all placed is at most `limit`."""
    queries, where = cells.endpoints_taken
    counted = np.flatnonzero(cells.column < worth.shape[1])
    terms = worth[cells.query[counted], cells.column[counted]]
    rest = limit - int(worth[queries, where].sum())
    _add_row(proto, counted, terms, int(np.minimum(terms, 0).sum()), rest)


def _add_quality(proto: CpModelProto, cells: Cells, instance: Instance, missing: int) -> None:
    row = instance.problem.batch_quality
    if row is not None:
        _add_sum(proto, cells, np.where(row.members[:, None], row.asked - row.quality, 0), missing)


def _add_budgets(proto: CpModelProto, cells: Cells, instance: Instance) -> None:
    for budget in instance.problem.budgets:
        _add_sum(proto, cells, np.where(budget.members[:, None], budget.cost, 0), max(0, budget.limit))


def _add_objective(proto: CpModelProto, cells: Cells, instance: Instance) -> int:
    """Writes the price of every variable; returns what the settled queries cost."""
    proto.objective.vars.extend(range(len(cells.query)))
    proto.objective.coeffs.extend(instance.price[cells.query, cells.column].tolist())
    settled = np.flatnonzero(cells.settled != UNSETTLED)
    return int(instance.price[settled, cells.settled[settled]].sum())


def _add_hint(proto: CpModelProto, cells: Cells, incumbent: Ints, held: int) -> None:
    column = np.where(incumbent == HELD, held, incumbent)
    proto.solution_hint.vars.extend(range(len(cells.query)))
    proto.solution_hint.values.extend((column[cells.query] == cells.column).astype(np.int64).tolist())
