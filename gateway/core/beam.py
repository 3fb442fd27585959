"""Chooses among a few cells of many queries at once, where single moves and swaps are stuck.

Query after query, every way to go on from every partial choice is kept that still leaves room for the cheapest use the
others can make of each row, up to `width` of least loss by the prices: exact where these are fewer, a guess otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.core.problem import HELD

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.problem import Bools, Floats, Ints
    from gateway.core.relaxation import Relaxation


class Option(NamedTuple):
    """One way to settle a query."""

    column: int
    loss: float
    takes: list[tuple[int, float]]  # row, and how much more of it than the query's least


class Turn(NamedTuple):
    """What came of settling one query, per partial choice that was kept."""

    query: int
    columns: Ints
    parent: Ints


def beam(
    relaxation: Relaxation,
    choice: Ints,
    loss: Floats,
    *,
    window: float,
    width: int,
    alive: Callable[[], bool] = lambda: True,
) -> Ints | None:
    """(Q,) the cheapest of the choices that were kept; None when there is none, no time, or nothing to choose.

    Args:
        relaxation: Prices and rows.
        choice: (Q,) a choice that keeps the rows. Whoever has no other cell, and members of gangs, stay.
        loss: (Q, E + 1) by how much at least a choice that uses the cell is above the bound; inf where none may.
        window: How far above the bound a choice may be.
        width: Partial choices to keep.
        alive: Whether there is time left; asked at every query.
    """
    start = np.where(choice == HELD, relaxation.endpoints, choice)
    queries = _in_question(relaxation, start, loss)
    if not len(queries):
        return None
    loss = loss[queries]
    cells = loss < np.inf
    left, options = _options(relaxation, start, queries, cells, loss)
    rooms, losses = left[:, None], np.zeros(1)
    turns: list[Turn] = []
    # Whoever has most to lose comes last, when what room is left is known.
    for row in np.argsort(np.where(cells, loss, 0.0).max(axis=1), kind="stable").tolist():
        parent, columns, rooms, losses = _settle(options[row], rooms, losses, window, width)
        if not len(losses) or not alive():
            return None
        turns.append(Turn(int(queries[row]), columns, parent))
    return _cheapest(relaxation, start, turns)


def _in_question(relaxation: Relaxation, start: Ints, loss: Floats) -> Ints:
    """Whoever has a cell beside its own."""
    own = loss[np.arange(len(start)), start] < np.inf
    free = (loss < np.inf).sum(axis=1) > own
    if relaxation.gangs is not None:
        free[relaxation.gangs.members] = False
    return np.flatnonzero(free)


def _options(
    relaxation: Relaxation, start: Ints, queries: Ints, cells: Bools, loss: Floats
) -> tuple[Floats, list[list[Option]]]:
    """(R,) what the rows that can bind have left when each of the queries takes its least of each; the options."""
    endpoints, tokens = relaxation.endpoints, relaxation.tokens
    uses = np.zeros((len(queries), endpoints + 1, len(relaxation.room)))
    each = np.arange(endpoints)
    uses[:, each, each] = 1.0
    for row in range(tokens):
        uses[:, each, endpoints * (row + 1) + each] = relaxation.uses[row, queries, :endpoints]
    for row in range(len(relaxation.uses) - tokens):
        uses[:, :, endpoints * (1 + tokens) + row] = relaxation.uses[tokens + row, queries]
    now = uses[np.arange(len(queries)), start[queries]].sum(axis=0)
    least = np.where(cells[:, :, None], uses, np.inf).min(axis=1)
    most = np.where(cells[:, :, None], uses, -np.inf).max(axis=1)
    left = relaxation.room - relaxation.used(start) + now - least.sum(axis=0)
    binding = np.flatnonzero((most - least).sum(axis=0) > left)
    uses = (uses - least[:, None])[:, :, binding]
    options: list[list[Option]] = [[] for _ in queries]
    for query, column in zip(*(axis.tolist() for axis in np.nonzero(cells)), strict=True):
        use = uses[query, column]
        takes = [(row, float(use[row])) for row in np.flatnonzero(use).tolist()]
        options[query].append(Option(column, float(loss[query, column]), takes))
    return left[binding], options


def _settle(
    options: list[Option], rooms: Floats, losses: Floats, window: float, width: int
) -> tuple[Ints, Ints, Floats, Floats]:
    """The partial choices that come next: their parents, the new column, (R, N) what they leave and (N,) their loss."""
    parents, worse = [], []
    for option in options:
        loss = losses + option.loss
        fits = loss <= window
        for row, need in option.takes:
            fits &= rooms[row] >= need
        parents.append(np.flatnonzero(fits))
        worse.append(loss[parents[-1]])
    parent, after = np.concatenate(parents), np.concatenate(worse)
    ends = np.cumsum([len(each) for each in parents])
    which = np.repeat(np.arange(len(options)), [len(each) for each in parents])
    if len(after) > width:
        kept = np.sort(np.argpartition(after, width)[:width])
        parent, after, which = parent[kept], after[kept], which[kept]
        ends = np.searchsorted(which, np.arange(len(options)), side="right")
    rooms = rooms.take(parent, axis=1)
    begin = 0
    for option, end in zip(options, ends.tolist(), strict=True):
        for row, need in option.takes:
            rooms[row, begin:end] -= need
        begin = end
    return parent, np.array([option.column for option in options])[which], rooms, after


def _cheapest(relaxation: Relaxation, start: Ints, turns: list[Turn]) -> Ints:
    """Follows every choice that was kept to the end back to its start."""
    at = np.arange(len(turns[-1].columns))
    price = np.zeros(len(at))
    ways: list[tuple[int, Ints]] = []
    for turn in reversed(turns):
        columns = turn.columns[at]
        price += relaxation.price[turn.query, columns]
        ways.append((turn.query, columns))
        at = turn.parent[at]
    best = int(price.argmin())
    found = start.copy()
    for query, columns in ways:
        found[query] = columns[best]
    return np.where(found == relaxation.endpoints, HELD, found)
