"""One query after the other, each at its best place that still has room: what a gateway without a joint solve does.

The yardstick for the gain of the joint solve, and an answer that needs no solver at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.instance import CLOSED
from gateway.core.problem import HELD, NO_GANG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.instance import Instance
    from gateway.core.problem import Floats, Ints


class Room:
    """What is left of every capacity row while queries are placed one by one."""

    def __init__(self, instance: Instance) -> None:
        problem = instance.problem
        self._slots: list[int] = instance.slots.tolist()
        self._tokens = [(np.maximum(row.room, 0).tolist(), row.need) for row in problem.tokens]
        self._budgets = problem.budgets
        self._money = [max(0, budget.limit) for budget in problem.budgets]
        self._gang = problem.gang
        self._home: dict[int, int] = {}

    def admits(self, query: int, endpoint: int) -> bool:
        """Whether the query still fits there."""
        if self._slots[endpoint] <= 0:
            return False
        if any(need[query, endpoint] > left[endpoint] for left, need in self._tokens):
            return False
        for left, budget in zip(self._money, self._budgets, strict=True):
            if budget.members[query] and budget.cost[query, endpoint] > left:
                return False
        gang = NO_GANG if self._gang is None else int(self._gang[query])
        return gang < 0 or self._home.get(gang, endpoint) == endpoint

    def take(self, query: int, endpoint: int) -> None:
        """Books the room of one query."""
        self._slots[endpoint] -= 1
        for left, need in self._tokens:
            left[endpoint] -= int(need[query, endpoint])
        for number, budget in enumerate(self._budgets):
            if budget.members[query]:
                self._money[number] -= int(budget.cost[query, endpoint])
        if self._gang is not None and self._gang[query] >= 0:
            self._home[int(self._gang[query])] = endpoint


def one_by_one(instance: Instance) -> Ints:
    """(Q,) in the order of arrival. With a batch-quality row, each member looks first where it would be met alone."""
    if not instance.problem.has_side_rows:
        return _into_slots(instance)
    return _fill(instance, range(instance.shape[0]), _own_order(instance))


def _into_slots(instance: Instance) -> Ints:
    """One by one where only slots can bind."""
    price, endpoints = instance.price, instance.shape[1]
    shut = np.zeros(endpoints + 1, np.int64)
    left = instance.slots.tolist()
    choice = np.full(len(price), HELD, np.int64)
    for query, row in enumerate(price):
        column = int((row + shut).argmin())
        if column == endpoints:
            continue
        choice[query] = column
        left[column] -= 1
        if not left[column]:
            shut[column] = CLOSED
    return choice


def by_regret(instance: Instance, reduced: Floats) -> Ints:
    """(Q,) by prices that already tell what room is worth; first whoever would lose most by its second best."""
    two = np.partition(reduced, 1, axis=1)[:, :2] if reduced.shape[1] > 1 else np.zeros((len(reduced), 2))
    sequence = np.argsort(two[:, 0] - two[:, 1], kind="stable").tolist()
    return _fill(instance, sequence, np.argsort(reduced, axis=1, kind="stable"))


def _fill(instance: Instance, sequence: Iterable[int], columns: Ints) -> Ints:
    """(Q,) each query of the sequence at the first of its columns (Q, E + 1) that has room."""
    queries, endpoints = instance.shape
    stop = (columns == endpoints).argmax(axis=1).tolist()
    preference = columns.tolist()
    room = Room(instance)
    choice = np.full(queries, HELD, np.int64)
    for query in sequence:
        for endpoint in preference[query][: stop[query]]:
            if room.admits(query, endpoint):
                room.take(query, endpoint)
                choice[query] = endpoint
                break
    return choice


def _own_order(instance: Instance) -> Ints:
    """(Q, E + 1) columns by preference of each query alone."""
    row = instance.problem.batch_quality
    if row is None:
        return np.argsort(instance.price, axis=1, kind="stable")
    last = np.iinfo(np.int64).max
    lacking = np.where(row.members[:, None], np.maximum(row.asked - row.quality, 0), 0)
    lacking[instance.price[:, :-1] == CLOSED] = last
    held = np.where(instance.problem.may_hold, 0, last - 1)
    return np.lexsort((instance.price, np.column_stack([lacking, held])), axis=1)
