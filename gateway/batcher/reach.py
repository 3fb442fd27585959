"""Whom of a batch to weigh: nobody is placed where nothing is free, and few are where little is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.batcher.line import Waiter
    from gateway.core.fleet import Fleet
    from gateway.core.problem import Ints

T = TypeVar("T")

RIVALS: Final = 8  # for each free place: enough to choose who gains most from it


def within_reach(batch: Sequence[Waiter[T]], fleet: Fleet, places: Ints, now: float) -> list[Waiter[T]]:
    """Those of a batch, in the order of their turns, who could make a difference to the decision.

    Who named a model weighs nothing against its like, so of those no more are looked at than there are places. Where
    nothing is free only newcomers are, once: they may be told why they can never be served. Whoever would by now take
    a dearer place than it hoped for is looked at wherever it stands.

    Args:
        batch: in turn.
        fleet: whose endpoints the places are.
        places: (E,) queries that may be sent there now, 0 where the breaker forbids it.
        now: the time.
    """
    if len(batch) == 1 and batch[0].decision.ask is None:
        return list(batch)  # a lone newcomer is looked at in any case
    room: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
    ahead: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
    near: list[Waiter[T]] = []
    free_at = places.tolist()
    for waiter in batch:
        query = waiter.query
        group = (query.models, waiter.excluded)
        if group not in room:
            mine = fleet.endpoints_of(query.models)
            room[group] = sum([free_at[index] for index in mine if index not in waiter.excluded])
        free = room[group]
        rivals = 1 if query.target in fleet.model_index else RIVALS
        is_new, is_impatient = waiter.decision.ask is None, waiter.review_at <= now
        before = ahead.get(group, 0)
        is_near = (before < rivals * free or is_impatient) if free else is_new
        ahead[group] = before + 1
        if is_near:
            near.append(waiter)
    return near
