"""The promise of each route, live: the only owner of its sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.assignment import Step
from gateway.core.curve import trace
from gateway.core.promise import Promise, spread
from gateway.core.sums import Sums
from gateway.domain import Tradeoff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.curve import Curve
    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.domain import Query, Route
    from gateway.estimator import Columns
    from predictors.base import HeldOut


@dataclass(frozen=True, slots=True)
class Terms:
    """What a route pays for quality now."""

    multiplier: float  # USD for one unit
    bias: float = 0.0  # what feedback has shown its estimates to be off by


class Keeping:
    """One route's promise, and what it remembers."""

    def __init__(self, route: Route, curve: Curve) -> None:
        self.route = route
        self.promise = Promise(curve, route.objective)
        self.sums = Sums()
        self._curve = curve
        self._served = 0
        self._levels: dict[float, float] = {}

    def terms(self, count: int) -> list[Terms]:
        """For the next queries. Where the curve jumps, neighbours differ, so that their mix keeps the promise."""
        bias = self.promise.bias(self.sums)
        multipliers = self.promise.multipliers(self.sums, spread(self._served, count))
        return [Terms(float(multiplier), bias) for multiplier in multipliers]

    def at(self, level: float) -> Terms:
        """For a query that brings a trade-off of its own."""
        if level not in self._levels:
            self._levels[level] = Promise(self._curve, Tradeoff(level)).multiplier(Sums())
        return Terms(self._levels[level], self.promise.bias(self.sums))

    def decided(self, decisions: Sequence[Decision]) -> None:
        """A batch's choices. Where a capacity row changed one, what came is not the multiplier's doing."""
        quality = [float(decision.estimate.quality[decision.column]) for decision in decisions]
        cost = [decision.predicted_cost_usd for decision in decisions]
        frozen = any(each.batch is not None and each.batch.step != Step.ARGMIN for each in decisions)
        self._served += len(decisions)
        self.sums = self.sums.add(self.promise.delta(self.sums, quality, cost, frozen=frozen))


class Promises:
    """All routes'."""

    def __init__(self, fleet: Fleet, columns: Columns, held_out: HeldOut | None) -> None:
        self._kept = {
            route.name: Keeping(route, trace(columns.sample(held_out, fleet, fleet.candidates(route.name)), route.risk))
            for route in fleet.routes.values()
            if fleet.candidates(route.name)
        }

    def __iter__(self) -> Iterator[Keeping]:
        return iter(self._kept.values())

    def terms(self, queries: Sequence[Query]) -> list[Terms | None]:
        """Row by row; None for a query that names its model."""
        terms: list[Terms | None] = [None] * len(queries)
        own: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            kept = self._kept.get(query.target)
            if kept is None:
                continue
            if query.preferences.tradeoff is not None:
                terms[row] = kept.at(query.preferences.tradeoff)
            else:
                own.setdefault(query.target, []).append(row)
        for name, rows in own.items():
            for row, each in zip(rows, self._kept[name].terms(len(rows)), strict=True):
                terms[row] = each
        return terms

    def decided(self, decisions: Sequence[Decision]) -> None:
        """The first placements of queries. Those with wishes of their own do not enter the route's average."""
        counted: dict[str, list[Decision]] = {}
        for decision in decisions:
            wishes = decision.query.preferences
            plain = wishes.min_quality is None and wishes.tradeoff is None
            if plain and not decision.attempts and decision.query.target in self._kept:
                counted.setdefault(decision.query.target, []).append(decision)
        for name, batch in counted.items():
            self._kept[name].decided(batch)

    def settled(self, decision: Decision) -> None:
        """The bill has come."""
        kept = self._kept.get(decision.query.target)
        if kept is not None and decision.cost_usd is not None:
            kept.sums = kept.sums.add(Sums.of_bill(decision.cost_usd, decision.predicted_cost_usd))

    def scored(self, decision: Decision, score: float) -> None:
        """Feedback has come."""
        kept = self._kept.get(decision.query.target)
        if kept is not None:
            kept.sums = kept.sums.add(Sums.of_feedback(score, float(decision.estimate.quality[decision.column])))
