"""Who called a tool: the model that is to read its result. A model must not be switched between the two."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain import Query

Name = tuple[str, str, str]  # what was asked for, the session, and the id
SIZE: Final = 20_000  # ids that are remembered: some MB, and hours of ordinary traffic


class Loops:
    """Ids of tool calls and of responses, and the model that gave each. The longest unused are forgotten first."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._models: OrderedDict[Name, str] = OrderedDict()

    def model_of(self, query: Query) -> str | None:
        """Who must answer a query that brings results; None when it brings none, or none that are known."""
        if not query.continues:
            return None
        for key in names_of(query, query.continues):
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key]
        return None

    def remember(self, query: Query, continuations: Sequence[str], model: str) -> None:
        """The answer to this query, by this model, can be gone on from by these ids."""
        for key in names_of(query, continuations):
            self._models[key] = model
            self._models.move_to_end(key)
        while len(self._models) > self._size:
            self._models.popitem(last=False)


def names_of(query: Query, ids: Sequence[str]) -> list[Name]:
    """What is remembered under. Some upstreams number their calls anew in every answer: a session tells them apart."""
    session = query.preferences.session or ""
    keys = [(query.target, session, each) for each in ids]
    return [*keys, (query.target, session, "")] if session else keys
