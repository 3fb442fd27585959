"""Why the batch came out as it did: for each query the rejected alternatives, for each full endpoint its price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.assignment import EXACT
from gateway.core.explanation import Alternative, Choice, Explanation, Reason, Scarcity
from gateway.core.problem import HELD, NANO, QUALITY_UNIT, SCORE_LIMIT
from gateway.core.rows import load_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.assignment import Assignment
    from gateway.core.problem import Floats, Ints, Problem

MILLI = THOUSAND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What to call the rows and columns, and what was estimated for them."""

    queries: Sequence[str]
    endpoints: Sequence[str]
    quality: Floats | None = None  # (Q, E), 0..1
    cost_usd: Floats | None = None  # (Q, E)


def explain(problem: Problem, assignment: Assignment, names: Names) -> Explanation:
    """Puts an assignment into words."""
    view = _View(problem, assignment, names)
    scarce = [view.full_slots(endpoint) for endpoint in np.flatnonzero(view.full).tolist()]
    return Explanation(
        step=assignment.step.value,
        objective_usd=assignment.objective / NANO,
        bound_usd=assignment.bound / NANO,
        gap=assignment.gap,
        gain_usd=assignment.gain / NANO,
        choices=tuple(view.choice(query) for query in range(problem.shape[0])),
        scarce=(*scarce, *view.short_tokens()),
        words=_batch_words(problem, assignment),
    )


class _View:
    """One assignment, looked at cell by cell."""

    def __init__(self, problem: Problem, assignment: Assignment, names: Names) -> None:
        self._problem = problem
        self._names = names
        self._choice = assignment.choice
        self._shadow = assignment.shadow
        self._warm = assignment.warm if assignment.step not in EXACT else None
        self._load = load_of(problem, assignment.choice)
        self._slots = np.maximum(problem.slots, 0)
        self._rooms = [(row, row.room - _used(row.need, assignment.choice)) for row in problem.tokens]
        wanted = (problem.allowed & (problem.score < self._scores()[:, None])).any(axis=0)
        self.full = (self._load >= self._slots) & ((self._load > 0) | wanted)

    def _scores(self) -> Ints:
        """(Q,) nano-dollars of each choice, being held included."""
        rows = np.arange(len(self._choice))
        if not self._problem.shape[1]:
            return self._problem.hold
        scores: Ints = np.where(self._choice == HELD, self._problem.hold, self._problem.score[rows, self._choice])
        return scores

    def choice(self, query: int) -> Choice:
        """One query: where it went, and why nowhere else."""
        endpoint = int(self._choice[query])
        score = int(self._scores()[query])
        others = [column for column in range(self._problem.shape[1]) if column != endpoint]
        others.sort(key=lambda column: int(self._problem.score[query, column]))
        alternatives = tuple(self._alternative(query, column, score) for column in others)
        name = None if endpoint == HELD else self._names.endpoints[endpoint]
        return Choice(
            query=self._names.queries[query],
            endpoint=name,
            score_usd=score / NANO,
            alternatives=alternatives,
            words=_choice_words(name, alternatives, may_hold=bool(self._problem.may_hold[query])),
        )

    def full_slots(self, endpoint: int) -> Scarcity:
        """One full endpoint, and what one more slot there would be worth."""
        name, saving = self._names.endpoints[endpoint], int(self._shadow[endpoint]) / NANO
        worth = f"; one more slot there would have saved {saving * MILLI:.3g} m$" if saving else ""
        return Scarcity(
            endpoint=name,
            row="slots",
            room=int(self._slots[endpoint]),
            taken=int(self._load[endpoint]),
            saving_usd=saving,
            words=f"{name} was full{worth}",
        )

    def short_tokens(self) -> Iterator[Scarcity]:
        """Endpoints whose tokens have a price, by the prices that the joint solve left."""
        endpoints, warm = self._problem.shape[1], self._warm
        for number, (row, left) in enumerate(self._rooms, 1):
            prices = np.zeros(0) if warm is None else warm.prices[endpoints * number : endpoints * (number + 1)]
            for endpoint in np.flatnonzero(prices > 0).tolist():
                name, saving = self._names.endpoints[endpoint], float(prices[endpoint]) * THOUSAND / NANO
                worth = f"a thousand more would have saved about {saving * MILLI:.3g} m$"
                yield Scarcity(
                    endpoint=name,
                    row=row.name,
                    room=int(row.room[endpoint]),
                    taken=int(row.room[endpoint] - left[endpoint]),
                    saving_usd=saving,
                    words=f"{name} was short of {row.name}; {worth}",
                )

    def _alternative(self, query: int, endpoint: int, chosen: int) -> Alternative:
        reason = self._reason(query, endpoint, chosen)
        score = None if reason is Reason.NO_SCORE else int(self._problem.score[query, endpoint])
        return Alternative(
            endpoint=self._names.endpoints[endpoint],
            reason=reason,
            score_usd=None if score is None else score / NANO,
            extra_usd=None if score is None else (score - chosen) / NANO,
            quality=_cell(self._names.quality, query, endpoint),
            cost_usd=_cell(self._names.cost_usd, query, endpoint),
        )

    def _reason(self, query: int, endpoint: int, chosen: int) -> Reason:
        closed = self._closed(query, endpoint)
        if closed is not None:
            return closed
        dearer = self._problem.score[query, endpoint] >= chosen
        if dearer and self._choice[query] != HELD:
            return Reason.DEARER
        if self._load[endpoint] >= self._slots[endpoint]:
            return Reason.FULL
        if any(row.need[query, endpoint] > left[endpoint] for row, left in self._rooms):
            return Reason.NO_TOKENS
        return Reason.DEARER if dearer else Reason.OTHER_ROWS

    def _closed(self, query: int, endpoint: int) -> Reason | None:
        """Why it could not have gone there in any batch, if so."""
        problem = self._problem
        if not problem.allowed[query, endpoint]:
            return Reason.NOT_ALLOWED
        if abs(int(problem.score[query, endpoint])) > SCORE_LIMIT:
            return Reason.NO_SCORE
        if any(row.need[query, endpoint] > max(0, row.room[endpoint]) for row in problem.tokens):
            return Reason.TOO_LARGE
        return None


def _used(need: Ints, choice: Ints) -> Ints:
    """(E,) tokens that the placed queries take."""
    used = np.zeros(need.shape[1], np.int64)
    placed = np.flatnonzero(choice != HELD)
    np.add.at(used, choice[placed], need[placed, choice[placed]])
    return used


def _cell(table: Floats | None, query: int, endpoint: int) -> float | None:
    if table is None or not np.isfinite(table[query, endpoint]):
        return None
    return float(table[query, endpoint])


def _choice_words(name: str | None, alternatives: tuple[Alternative, ...], *, may_hold: bool) -> str:
    missed = [each for each in alternatives if each.reason in (Reason.FULL, Reason.NO_TOKENS, Reason.OTHER_ROWS)]
    reasons = ", ".join(f"{each.endpoint}: {each.reason}" for each in missed)
    if name is None:
        told = (
            "it waits: a slot that frees soon is worth more than the room there is" if may_hold else "no room was left"
        )
        return f"{told} ({reasons})" if reasons else told
    if not missed:
        return f"{name} was its best"
    extra = -min(each.extra_usd or 0.0 for each in missed) * MILLI
    return f"{name} was the best with room, {extra:.3g} m$ dearer than its own best ({reasons})"


def _batch_words(problem: Problem, assignment: Assignment) -> str:
    held = int((assignment.choice == HELD).sum())
    said = [f"{problem.shape[0] - held} placed, {held} held by {assignment.step.value}"]
    if assignment.gain > 0:
        said.append(f"{assignment.gain / NANO * MILLI:.3g} m$ saved against one after the other")
    if assignment.without_room:
        said.append(f"{assignment.without_room} found no room")
    if assignment.missing_quality:
        said.append(
            f"the asked quality could not be reached: {assignment.missing_quality / QUALITY_UNIT:.3g} successes short"
        )
    return "; ".join(said)
