"""A log in SQLite that is opened when it is first written or asked: to load SQLAlchemy takes a third of a start."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.feedback.row import Kept, Mark, Row, Scored
    from gateway.feedback.store import Store


class LaterStore:
    """As `Store`, for a URL of SQLite: it needs no driver, so there is nothing to refuse before."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _store(self) -> Store:
        from gateway.feedback.store import Store  # noqa: PLC0415 - SQLAlchemy

        return Store(self._url)

    def insert(self, rows: Sequence[Row]) -> None:
        self._store.insert(rows)

    def mark(self, mark: Mark) -> float | None:
        return self._store.mark(mark)

    def story(self, decision_id: str) -> Kept | None:
        return self._store.story(decision_id)

    def scored(self, decision_id: str) -> Scored | None:
        return self._store.scored(decision_id)

    def prune(self, *, before: float, most: int) -> None:
        self._store.prune(before=before, most=most)

    def close(self) -> None:
        if "_store" in self.__dict__:
            self._store.close()
