"""Which rows of a Problem a choice exceeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.problem import HELD

if TYPE_CHECKING:
    from gateway.core.problem import Ints, Problem


def load_of(problem: Problem, choice: Ints) -> Ints:
    """(E,) how many queries each endpoint gets."""
    counts: Ints = np.bincount(choice - HELD, minlength=problem.shape[1] + 1)[1:]
    return counts


def slots_exceeded(problem: Problem, choice: Ints) -> bool:
    """Whether some endpoint gets more queries than it has slots."""
    return bool((load_of(problem, choice) > np.maximum(problem.slots, 0)).any())


def side_rows_exceeded(problem: Problem, choice: Ints) -> bool:
    """Whether a token, gang, quality or budget row is exceeded."""
    if not problem.has_side_rows:
        return False
    return (
        _tokens_exceeded(problem, choice)
        or _gangs_parted(problem, choice)
        or missing_quality(problem, choice) > 0
        or _budgets_exceeded(problem, choice)
    )


def capacity_exceeded(problem: Problem, choice: Ints) -> bool:
    """Whether any row but batch quality is exceeded."""
    return (
        slots_exceeded(problem, choice)
        or _tokens_exceeded(problem, choice)
        or _gangs_parted(problem, choice)
        or _budgets_exceeded(problem, choice)
    )


def missing_quality(problem: Problem, choice: Ints) -> int:
    """What the batch-quality row lacks, in 1/10,000 summed over queries; 0 when it is met."""
    row = problem.batch_quality
    if row is None:
        return 0
    counted = np.flatnonzero((choice != HELD) & row.members)
    return max(0, -int((row.quality[counted, choice[counted]] - row.asked).sum()))


def _tokens_exceeded(problem: Problem, choice: Ints) -> bool:
    placed = np.flatnonzero(choice != HELD)
    where = choice[placed]
    for row in problem.tokens:
        used = np.zeros(problem.shape[1], np.int64)
        np.add.at(used, where, row.need[placed, where])
        if (used > np.maximum(row.room, 0)).any():
            return True
    return False


def _gangs_parted(problem: Problem, choice: Ints) -> bool:
    if problem.gang is None:
        return False
    members = np.flatnonzero((problem.gang >= 0) & (choice != HELD))
    pairs = {(int(problem.gang[q]), int(choice[q])) for q in members}
    return len(pairs) > len({gang for gang, _ in pairs})


def _budgets_exceeded(problem: Problem, choice: Ints) -> bool:
    for budget in problem.budgets:
        counted = np.flatnonzero((choice != HELD) & budget.members)
        if int(budget.cost[counted, choice[counted]].sum()) > max(0, budget.limit):
            return True
    return False
