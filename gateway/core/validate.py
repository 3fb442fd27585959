"""Checks a choice against a Problem with plain loops. Shares nothing with the solvers, on purpose."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.problem import Problem

WAITS = -1


def violations(problem: Problem, choice: Sequence[int]) -> list[str]:
    """What is wrong, one sentence each; [] when every row but batch quality is kept."""
    queries, endpoints = problem.score.shape
    if len(choice) != queries:
        return [f"{len(choice)} choices for {queries} queries"]
    stray = [
        f"query {q} goes to endpoint {e} of {endpoints}" for q, e in enumerate(choice) if not WAITS <= e < endpoints
    ]
    if stray:
        return stray
    placed = [(q, int(e)) for q, e in enumerate(choice) if e != WAITS]
    return [
        *_filters(problem, placed),
        *_slots(problem, placed),
        *_tokens(problem, placed),
        *_gangs(problem, placed),
        *_budgets(problem, placed),
    ]


def quality_shortfall(problem: Problem, choice: Sequence[int]) -> int:
    """What the batch-quality row lacks, in 1/10,000; 0 when it is met or not asked."""
    row = problem.batch_quality
    if row is None:
        return 0
    surplus = 0
    for query, endpoint in enumerate(choice):
        if endpoint != WAITS and row.members[query]:
            surplus += int(row.quality[query, endpoint]) - row.asked
    return max(0, -surplus)


def cost_of(problem: Problem, choice: Sequence[int]) -> int:
    """Nano-dollars, with whoever is held; a query without room is charged the dearer of hold and dearest option."""
    total = 0
    for query, endpoint in enumerate(choice):
        if endpoint != WAITS:
            total += int(problem.score[query, endpoint])
            continue
        charges = [int(problem.hold[query])]
        if not problem.may_hold[query]:
            charges += [
                int(problem.score[query, e])
                for e in range(problem.score.shape[1])
                if problem.allowed[query, e] and _fits_alone(problem, query, e)
            ]
        total += max(charges)
    return total


def without_room(problem: Problem, choice: Sequence[int]) -> int:
    """How many wait although they may not."""
    return sum(1 for query, endpoint in enumerate(choice) if endpoint == WAITS and not problem.may_hold[query])


def _fits_alone(problem: Problem, query: int, endpoint: int) -> bool:
    tokens = all(int(row.need[query, endpoint]) <= max(0, int(row.room[endpoint])) for row in problem.tokens)
    money = all(not b.members[query] or int(b.cost[query, endpoint]) <= max(0, b.limit) for b in problem.budgets)
    return tokens and money


def _filters(problem: Problem, placed: list[tuple[int, int]]) -> Iterator[str]:
    for query, endpoint in placed:
        if not problem.allowed[query, endpoint]:
            yield f"query {query} may not go to endpoint {endpoint}"


def _slots(problem: Problem, placed: list[tuple[int, int]]) -> Iterator[str]:
    load: dict[int, int] = defaultdict(int)
    for _, endpoint in placed:
        load[endpoint] += 1
    for endpoint, count in load.items():
        if count > problem.slots[endpoint]:
            yield f"endpoint {endpoint} gets {count} queries and has {problem.slots[endpoint]} slots"


def _tokens(problem: Problem, placed: list[tuple[int, int]]) -> Iterator[str]:
    for row in problem.tokens:
        used: dict[int, int] = defaultdict(int)
        for query, endpoint in placed:
            used[endpoint] += int(row.need[query, endpoint])
        for endpoint, tokens in used.items():
            if tokens > max(0, int(row.room[endpoint])):
                yield f"endpoint {endpoint} gets {tokens} of {row.name} and has {row.room[endpoint]}"


def _gangs(problem: Problem, placed: list[tuple[int, int]]) -> Iterator[str]:
    if problem.gang is None:
        return
    homes: dict[int, set[int]] = defaultdict(set)
    for query, endpoint in placed:
        if problem.gang[query] >= 0:
            homes[int(problem.gang[query])].add(endpoint)
    for gang, where in homes.items():
        if len(where) > 1:
            yield f"gang {gang} is split over endpoints {sorted(where)}"


def _budgets(problem: Problem, placed: list[tuple[int, int]]) -> Iterator[str]:
    for number, budget in enumerate(problem.budgets):
        spent = sum(int(budget.cost[query, endpoint]) for query, endpoint in placed if budget.members[query])
        if spent > max(0, budget.limit):
            yield f"budget {number} spends {spent} of {budget.limit}"
