"""From estimates and outcomes to the figures of one pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import bootstrap, frontier
from gateway.lab.baselines import CONSTANT
from gateway.lab.evaluate_methods import ORACLE, OURS, sweep_all
from gateway.lab.evaluate_results import QUALITY_SHARES, Band, Kept, Method, ModelRow, Points, Shares
from gateway.lab.evaluate_rules import assigned
from gateway.lab.methods import OURS as METHOD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.bootstrap import Interval
    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.evaluate_methods import Swept
    from gateway.lab.frontier import Floats, Realised, Summary
    from predictors.pool import Pool

PER_1K = 1_000
STEPS = 5  # asked averages in the card of promises
GRID = 80  # costs at which a band is drawn
SETTINGS = 24  # of ours, in the chart of shares


def realised_of(pool: Pool, given: Estimates) -> Realised:
    """What came of the pool's queries. A cost that is not recorded counts as the model's mean."""
    cost = np.where(np.isfinite(pool.cost), pool.cost, given.mean_cost)
    return frontier.Realised(pool.score, cost, given.cheapest, given.best)


def compare(given: Estimates, realised: Realised, draws: int, seed: int) -> tuple[tuple[Method, ...], Shares | None]:
    """Every method's figures with their intervals, and who answers for ours."""
    weight = bootstrap.draws(len(realised.score), draws, seed)
    swept = sweep_all(given, realised, seed)
    drawn = {each.name: _Drawn.of(each, realised, weight) for each in swept}
    methods = tuple(each.method(drawn[CONSTANT], drawn[ORACLE]) for each in drawn.values())
    ours = next((each for each in swept if each.name == OURS), None)
    return methods, None if ours is None else _shares(ours)


def kept_promises(given: Estimates, realised: Realised, count: int = STEPS, seed: int = 0) -> tuple[Kept, ...]:
    """Asked averages strictly between the cheapest and the best model, each kept as the gateway keeps it.

    Empty where a fit has no sample to place promises by.
    """
    if set(given.samples) != set(np.unique(given.part).tolist()):
        return ()
    (_, low), (_, high) = frontier.anchors(realised)
    asked = np.linspace(low, high, count + 2)[1:-1]
    kept = []
    for wanted, choice in zip(asked.tolist(), assigned(METHOD, asked, given, realised, seed), strict=True):
        cost, score = realised.picked(choice)
        error = float(score.std() / np.sqrt(len(score)))
        kept.append(Kept(wanted, float(score.mean()), error, float(cost.mean()) * PER_1K))
    return tuple(kept)


def model_rows(pool: Pool) -> tuple[ModelRow, ...]:
    """Each model by itself, over the queries that it answered."""
    known = np.isfinite(pool.score)
    return tuple(
        ModelRow(
            name=name,
            success=_mean(pool.score[:, column]),
            cost=_mean(np.where(known, pool.cost, np.nan)[:, column]) * PER_1K,
            answered=int(known[:, column].sum()),
        )
        for column, name in enumerate(pool.models)
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One method with its bootstrap."""

    swept: Swept
    hull: frontier.Curve
    summary: Summary
    best: tuple[float, float]
    low: float
    hulls: Sequence[frontier.Curve]
    aiqs: Floats  # (B,)

    @classmethod
    def of(cls, swept: Swept, realised: Realised, weight: Floats) -> _Drawn:
        cheapest, best = frontier.anchors(realised)
        cost, success = swept.cost.mean(axis=1), swept.score.mean(axis=1)
        hull = frontier.envelope(cost, success, cheapest)
        redrawn = bootstrap.redraw(swept.cost, swept.score, realised, weight)
        hulls = [] if swept.is_point else redrawn.hulls()
        return cls(
            swept=swept,
            hull=hull,
            summary=frontier.figures(hull, float(success.max()), cheapest[0], best),
            best=best,
            low=cheapest[0],
            hulls=hulls,
            aiqs=np.array([each.aiq for each in redrawn.summaries(hulls)] if hulls else []),
        )

    def method(self, constant: _Drawn, oracle: _Drawn) -> Method:
        """The plain values of it, beside the two ends of the scale."""
        points = self.swept.cost.mean(axis=1) * PER_1K, self.swept.score.mean(axis=1)
        dial = not self.swept.is_point
        return Method(
            name=self.swept.name,
            label=self.swept.label,
            points=_points(*points),
            hull=_points(self.hull.cost * PER_1K, self.hull.success) if dial else (),
            band=self._band() if dial else None,
            aiq=bootstrap.interval(self.summary.aiq, self.aiqs) if dial else None,
            gap_closed=self._gap(constant, oracle) if dial else None,
            peak=self.summary.peak,
            cost_at=tuple(self._cost_at(share) for share in QUALITY_SHARES),
        )

    def _gap(self, constant: _Drawn, oracle: _Drawn) -> Interval:
        value = frontier.gap_closed(self.summary.aiq, constant.summary.aiq, oracle.summary.aiq)
        span = oracle.aiqs - constant.aiqs
        drawn = np.divide(self.aiqs - constant.aiqs, span, out=np.zeros_like(span), where=span > 0)
        return bootstrap.interval(value, drawn)

    def _band(self) -> Band:
        grid = np.geomspace(max(self.low, 1e-12), max(self.best[0], self.hull.cost[-1], 1e-12), GRID)
        heights = np.stack([each.at(grid) for each in self.hulls])
        low, high = np.percentile(heights, bootstrap.INTERVAL, axis=0)
        return Band(tuple((grid * PER_1K).tolist()), tuple(low.tolist()), tuple(high.tolist()))

    def _cost_at(self, share: float) -> float | None:
        cost = self.hull.cost_at(share * self.best[1])
        return cost / self.best[0] if np.isfinite(cost) and self.best[0] > 0 else None


def _shares(ours: Swept) -> Shares:
    """Settings at even steps of realised success."""
    success = ours.score.mean(axis=1)
    wanted = np.linspace(success.min(), success.max(), SETTINGS)
    at = np.unique([int(np.abs(success - each).argmin()) for each in wanted])
    return Shares(
        success=tuple(success[at].tolist()),
        cost=tuple((ours.cost.mean(axis=1)[at] * PER_1K).tolist()),
        share=tuple(tuple(row) for row in ours.share[at].tolist()),
    )


def _points(cost: Floats, success: Floats) -> Points:
    return tuple(zip(cost.tolist(), success.tolist(), strict=True))


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
