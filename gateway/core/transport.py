"""The second rung: only slots bind. A transportation problem, solved exactly by min-cost flow.

Only endpoints that could be full enter, and of those only the cells that beat the query's best place elsewhere;
everything else is one arc of unlimited capacity per query. An optimal flow needs no arc that is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.argmin import own_best
from gateway.core.instance import CLOSED
from gateway.core.problem import HELD
from gateway.core.rows import slots_exceeded

if TYPE_CHECKING:
    from gateway.core.instance import Instance
    from gateway.core.problem import Bools, Ints


def within_slots(instance: Instance) -> Ints | None:
    """(Q,) the cheapest choice that respects the slots, whatever the other rows say; None when there is no answer."""
    choice = own_best(instance.price, instance.slots)
    if not slots_exceeded(instance.problem, choice):
        return choice
    return place(instance.price, instance.slots)


def place(price: Ints, slots: Ints) -> Ints | None:
    """(Q,) the cheapest choice that respects the slots; None when the solver gives no answer.

    `price` is (Q, E + 1) with being held as its last column, which takes any number.
    """
    here = price[:, :-1]
    scarce = np.count_nonzero(here <= price[:, -1:], axis=0) > slots
    apart = price.copy()
    apart[:, :-1][:, scarce] = CLOSED
    fallback = apart.min(axis=1)
    query, endpoint = np.nonzero((here < fallback[:, None]) & scarce & _within_reach(here))
    taken = _cheapest_flow(query, endpoint, here[query, endpoint] - fallback[query], slots)
    if taken is None:
        return None
    choice = np.full(len(price), HELD, np.int64)
    choice[query[taken]] = endpoint[taken]
    rest = np.delete(np.arange(len(price)), query[taken])
    choice[rest] = own_best(apart[rest], slots)
    return choice


def _within_reach(here: Ints) -> Bools:
    """(Q, E) the Q cheapest endpoints of each query: the others, one each, leave one of these free."""
    queries, endpoints = here.shape
    if not 0 < queries < endpoints:
        return np.ones_like(here, dtype=np.bool_)
    reach: Bools = here <= np.partition(here, queries - 1, axis=1)[:, queries - 1 : queries]
    return reach


def _cheapest_flow(query: Ints, endpoint: Ints, cost: Ints, slots: Ints) -> Ints | None:
    """Which of the cells (query, endpoint, cost < 0) to take: at most one a query, at most `slots` an endpoint."""
    if not len(query):
        return query
    from ortools.graph.python import min_cost_flow  # noqa: PLC0415 - 0.3 s to import: not before the first contention

    rows, row = np.unique(query, return_inverse=True)
    columns, column = np.unique(endpoint, return_inverse=True)
    sink = len(rows) + len(columns)
    tail = np.concatenate([row, np.arange(sink)])
    head = np.concatenate([len(rows) + column, np.full(sink, sink)])
    capacity = np.concatenate([np.ones(len(row) + len(rows), np.int64), np.minimum(slots[columns], len(rows))])
    flow = min_cost_flow.SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        tail, head, capacity, np.concatenate([cost, np.zeros(sink, np.int64)])
    )
    flow.set_nodes_supplies(np.append(np.arange(len(rows)), sink), np.append(np.ones_like(rows), -len(rows)))
    if flow.solve() != flow.OPTIMAL:
        return None
    taken: Ints = np.flatnonzero(flow.flows(arcs[: len(row)]))
    return taken
