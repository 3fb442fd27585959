"""The promise of each route, live: the only owner of its sums."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.core.assignment import Step
from gateway.core.curve import trace
from gateway.core.promise import Promise, spread
from gateway.core.sums import Sums
from gateway.domain import Tradeoff
from gateway.load.sums import COUNT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.curve import Curve
    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.domain import Query, Route
    from gateway.estimator import Columns
    from gateway.load.sums import SumsStore
    from predictors.base import HeldOut

RESIDUAL: Final = "residual"
FEEDBACK_FIELDS: Final = frozenset({"scored", RESIDUAL})  # fade by themselves, so they are kept by themselves


class Terms(msgspec.Struct, frozen=True):
    """What a route pays for quality now."""

    multiplier: float  # USD for one unit
    bias: float = 0.0  # what feedback has shown its estimates to be off by


class Keeping:
    """One route's promise, and what it remembers: sums, in a store that replicas may share."""

    def __init__(self, route: Route, curve: Curve, store: SumsStore) -> None:
        self.route = route
        self.promise = Promise(curve, route.objective)
        self._curve = curve
        self._store = store
        self._decisions = f"{route.name}:{self.promise.kind}"
        self._feedback = f"{route.name}:feedback"
        self._served = 0  # by this replica
        self._levels: dict[float, float] = {}

    @property
    def curve(self) -> Curve:
        """What its models give together, by the held-out sample."""
        return self._curve

    def adopt(self, curve: Curve) -> None:
        """Another predictor's curve. The sums stay: they are what was promised and spent, whoever predicted it."""
        self.promise = Promise(curve, self.route.objective)
        self._curve = curve
        self._levels.clear()

    async def sums(self) -> Sums:
        """What all replicas have decided and heard, as far as known here."""
        decided, heard = await self._store.read(self._decisions), await self._store.read(self._feedback)
        return Sums(**decided, scored=heard.get(COUNT, 0.0), residual=heard.get(RESIDUAL, 0.0))

    async def terms(self, count: int) -> list[Terms]:
        """For the next queries. Where the curve jumps, neighbours differ, so that their mix keeps the promise."""
        sums = await self.sums()
        bias = self.promise.bias(sums)
        multipliers = self.promise.multipliers(sums, spread(self._served, count))
        return [Terms(float(multiplier), bias) for multiplier in multipliers]

    async def at(self, level: float) -> Terms:
        """For a query that brings a trade-off of its own."""
        if level not in self._levels:
            self._levels[level] = Promise(self._curve, Tradeoff(level)).multiplier(Sums())
        return Terms(self._levels[level], self.promise.bias(await self.sums()))

    async def decided(self, decisions: Sequence[Decision]) -> None:
        """A batch's choices. Where a capacity row changed one, what came is owed, but not the multiplier's doing."""
        quality = [float(decision.estimate.quality[decision.column]) for decision in decisions]
        cost = [decision.expected.cost_usd for decision in decisions]
        displaced = any(each.batch is not None and each.batch.step != Step.ARGMIN for each in decisions)
        self._served += len(decisions)
        await self._add(self.promise.delta(await self.sums(), quality, cost, displaced=displaced))

    async def settled(self, actual_usd: float, predicted_usd: float) -> None:
        await self._add(Sums.of_bill(actual_usd, predicted_usd))

    async def scored(self, score: float, quality: float) -> None:
        await self._store.add(self._feedback, {COUNT: 1.0, RESIDUAL: score - quality})

    async def _add(self, delta: Sums) -> None:
        told = zip(delta._fields, delta, strict=True)
        amounts = {name: amount for name, amount in told if amount and name not in FEEDBACK_FIELDS}
        await self._store.add(self._decisions, amounts)


class Promises:
    """All routes'."""

    def __init__(self, fleet: Fleet, columns: Columns, held_out: HeldOut | None, store: SumsStore) -> None:
        self._fleet = fleet
        curves = _curves(fleet, columns, held_out)
        self._kept = {name: Keeping(fleet.routes[name], curve, store) for name, curve in curves.items()}

    async def adopt(self, columns: Columns, held_out: HeldOut) -> None:
        """Takes up a predictor that came later. Its curves are drawn beside the loop: a large sample takes a while."""
        curves = await asyncio.to_thread(_curves, self._fleet, columns, held_out)
        for name, kept in self._kept.items():
            kept.adopt(curves[name])

    def __iter__(self) -> Iterator[Keeping]:
        return iter(self._kept.values())

    async def terms(self, queries: Sequence[Query]) -> list[Terms | None]:
        """Row by row; None for a query that names its model."""
        terms: list[Terms | None] = [None] * len(queries)
        own: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            kept = self._kept.get(query.target)
            if kept is None:
                continue
            if query.preferences.tradeoff is not None:
                terms[row] = await kept.at(query.preferences.tradeoff)
            else:
                own.setdefault(query.target, []).append(row)
        for name, rows in own.items():
            for row, each in zip(rows, await self._kept[name].terms(len(rows)), strict=True):
                terms[row] = each
        return terms

    async def decided(self, decisions: Sequence[Decision]) -> None:
        """The first placements of queries. Those with wishes of their own do not enter the route's average."""
        counted: dict[str, list[Decision]] = {}
        for decision in decisions:
            wishes = decision.query.preferences
            plain = wishes.min_quality is None and wishes.tradeoff is None
            if plain and not decision.attempts and decision.query.target in self._kept:
                counted.setdefault(decision.query.target, []).append(decision)
        for name, batch in counted.items():
            await self._kept[name].decided(batch)

    async def settled(self, decision: Decision) -> None:
        """The bill has come."""
        kept = self._kept.get(decision.query.target)
        if kept is not None and decision.cost_usd is not None:
            await kept.settled(decision.cost_usd, decision.expected.cost_usd)

    async def scored(self, target: str, score: float, quality: float) -> None:
        """Feedback has come on an answer whose quality was estimated so, before any correction."""
        kept = self._kept.get(target)
        if kept is not None:
            await kept.scored(score, quality)


def _curves(fleet: Fleet, columns: Columns, held_out: HeldOut | None) -> dict[str, Curve]:
    """By route, of those that have somebody to answer."""
    served = {name: fleet.candidates(name) for name in fleet.routes}
    return {
        name: trace(columns.sample(held_out, fleet, models), fleet.routes[name].risk)
        for name, models in served.items()
        if models
    }
