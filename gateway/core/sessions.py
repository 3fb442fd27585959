"""Where sessions are at home: queries of one conversation go to one endpoint, whose cache knows what came before."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gateway.core.problem import NO_GANG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.problem import Bools, Ints
    from gateway.domain import Query

SIZE: Final = 20_000  # sessions that are remembered: some MB, and hours of ordinary traffic

Session: TypeAlias = tuple[str, str, str]  # whose it is, the route or model, and its name


def session_of(query: Query) -> Session | None:
    """None for a query that names none."""
    name = query.preferences.session
    return (query.key, query.target, name) if name else None


class Homes:
    """The endpoint that served each session last, by index. The longest unused are forgotten first."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._endpoints: OrderedDict[Session, int] = OrderedDict()

    def of(self, query: Query) -> int | None:
        """None for a query without a session, or with one that is new."""
        session = session_of(query)
        return None if session is None else self._endpoints.get(session)

    def settle(self, query: Query, endpoint: int) -> None:
        """A query has been placed."""
        session = session_of(query)
        if session is None:
            return
        self._endpoints[session] = endpoint
        self._endpoints.move_to_end(session)
        if len(self._endpoints) > self._size:
            self._endpoints.popitem(last=False)


def at_home(allowed: Bools, homes: Sequence[int | None], slots: Ints) -> Bools:
    """(Q, E) the same, but only its home for whoever has one that is allowed and has room: nobody waits for it."""
    if all(home is None for home in homes):
        return allowed
    kept = allowed.copy()
    for row, home in enumerate(homes):
        if home is not None and allowed[row, home] and slots[home] > 0:
            kept[row] = False
            kept[row, home] = True
    return kept


def gangs(sessions: Sequence[Session | None], allowed: Bools, slots: Ints) -> Ints | None:
    """(Q,) a number for the queries of each session that comes more than once; None when there is none.

    Only where some endpoint is open to all of them and has room for all: elsewhere each goes by itself, so that nobody
    waits for company.
    """
    if not any(sessions):
        return None
    rows: dict[Session, list[int]] = {}
    for row, session in enumerate(sessions):
        if session is not None:
            rows.setdefault(session, []).append(row)
    number = np.full(len(sessions), NO_GANG, dtype=np.int64)
    for gang, members in enumerate(rows.values()):
        if len(members) > 1 and (allowed[members].all(axis=0) & (slots >= len(members))).any():
            number[members] = gang
    return number if (number != NO_GANG).any() else None
