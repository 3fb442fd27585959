"""What the page at `/` shows, as plain values: what is configured, what it costs, how well it keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gateway import __version__
from gateway.core.describe import words
from gateway.core.listing import objective
from gateway.domain import MaxCost, MinQuality, Outcome
from gateway.metrics import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.batcher import Batcher
    from gateway.core.decision import Decision
    from gateway.core.fleet import Fleet
    from gateway.core.sums import Sums
    from gateway.feedback import DecisionLog
    from gateway.health import Health
    from gateway.load.base import LoadBook
    from gateway.metrics import Metrics
    from gateway.metrics.totals import Total, Totals
    from gateway.promises import Keeping, Promises

Plain = dict[str, Any]

PER_1K: Final = 1_000  # queries
DECISIONS: Final = 12  # shown
POINTS: Final = 24  # of a frontier


class Overview:
    """Of one running gateway. What is counted is this process's own, since its start."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        metrics: Metrics,
        book: LoadBook,
        promises: Promises,
        health: Health,
        batcher: Batcher,
        log: DecisionLog,
        about: Plain,
        wall: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._book = book
        self._promises = promises
        self._health = health
        self._batcher = batcher
        self._log = log
        self._about = about  # what does not change while it runs
        self._wall = wall

    async def look(self) -> Plain:
        """Everything now. No prompt, no key, no upstream's address is in it."""
        totals = self._metrics.totals()
        return {
            "object": "overview",
            "version": __version__,
            "now": self._wall(),
            **self._about,
            "unplaced": sum(total.failed for (_, name), total in totals.answers.items() if name == OTHER),
            "models": [self._model(index, totals) for index in range(len(self._fleet.models))],
            "routes": [await self._route(kept, totals) for kept in self._promises],
            "endpoints": await self._endpoints(),
            "waiting": {"queries": self._batcher.waiting, "oldest_s": self._batcher.oldest_s},
            "decisions": [self._decision(each) for each in self._log.recent(DECISIONS)],
        }

    def _model(self, index: int, totals: Totals) -> Plain:
        model = self._fleet.models[index]
        own = [total for (_, name), total in totals.answers.items() if name == model.name]
        return {
            "name": model.name,
            "price_usd_per_million": {"input": model.price.input, "output": model.price.output},
            "endpoints": len(self._fleet.endpoints_of_model[model.name]),
            **_summed(own),
        }

    async def _route(self, kept: Keeping, totals: Totals) -> Plain:
        name, sums = kept.route.name, await kept.sums()
        curve, candidates = kept.curve, self._fleet.candidates(name)
        own = [total for (route, _), total in totals.answers.items() if route == name]
        picked = np.unique(np.linspace(0, curve.last, min(POINTS, curve.last + 1)).round().astype(int))
        return {
            "name": name,
            "models": list(candidates),
            "objective": objective(kept.route.objective),
            "quality": _quality(kept, sums),
            "cost_per_1k": _cost(kept, sums),
            "multiplier_usd": kept.promise.multiplier(sums),
            "frontier": [[float(curve.cost_usd[at]) * PER_1K, float(curve.realised[at])] for at in picked],
            "singles": {
                model: [cost * PER_1K, quality]
                for model, (cost, quality) in zip(candidates, curve.singles, strict=True)
                if np.isfinite(cost + quality)
            },
            "counterfactual_usd": {
                rule: totals.counterfactual_usd.get((name, rule), 0.0) for rule in ("best", "cheapest", "greedy")
            },
            **_summed(own),
        }

    async def _endpoints(self) -> list[Plain]:
        held, free = await self._book.held(), await self._book.headroom()
        places = dict(zip(self._book.endpoints, free.places.tolist(), strict=True))
        return [
            {
                "name": endpoint.name,
                "model": endpoint.model,
                "held": held.get(endpoint.name, 0),
                "capacity": endpoint.capacity.concurrency,
                "headroom": places.get(endpoint.name, 0),
                "breaker": self._health.state(index).value,
            }
            for index, endpoint in enumerate(self._fleet.endpoints)
        ]

    def _decision(self, decision: Decision) -> Plain:
        answered = bool(decision.model)
        return {
            "id": decision.query.id,
            "target": decision.query.target,
            "model": decision.model or None,
            "endpoint": decision.endpoint or None,
            "outcome": decision.outcome.value if decision.outcome else None,
            "predicted_quality": decision.expected.quality if answered else None,
            "score": self._log.score(decision.query.id),
            "cost_usd": decision.cost_usd,
            "total_s": decision.total_s,
            "overhead_ms": decision.watch.total * 1000,
            "words": words(decision, decision.fleet or self._fleet) or _why(decision),
            "estimates": self._estimates(decision),
        }

    def _estimates(self, decision: Decision) -> list[Plain]:
        estimate, models = decision.estimate, (decision.fleet or self._fleet).models
        return [
            {
                "model": models[column].name,
                "quality": float(estimate.quality[column]),
                "cost_usd": float(estimate.cost_usd[column]),
            }
            for column in range(len(estimate.quality))
            if models[column].name in decision.query.models
        ]


def _why(decision: Decision) -> list[str]:
    """The ordinary reason, in one sentence."""
    if decision.ask is None or decision.outcome is not Outcome.SERVED:
        return []
    price = decision.ask.multiplier
    return [f"{decision.model} had the best of cost, time and quality at {price:.3g} USD per unit of quality"]


def _quality(kept: Keeping, sums: Sums) -> Plain:
    """Averages over about the last 2,000 queries; None is not known. Without feedback a promise is predicted only."""
    asked = kept.route.objective
    predicted = sums.quality / sums.n if sums.n else None
    residual = sums.residual / sums.scored if sums.scored else None
    return {
        "asked": asked.quality if isinstance(asked, MinQuality) else None,
        "expected": kept.promise.expected,
        "predicted": predicted,
        "realised": None if predicted is None or residual is None else predicted + residual,
        "predicted_only": residual is None,
    }


def _cost(kept: Keeping, sums: Sums) -> Plain:
    """USD per 1,000 queries, over the same."""
    asked = kept.route.objective
    predicted = sums.cost / sums.n * PER_1K if sums.n else None
    return {
        "asked": asked.usd_per_1k if isinstance(asked, MaxCost) else None,
        "predicted": predicted,
        "actual": None if predicted is None else predicted + sums.overrun / sums.n * PER_1K,
    }


def _summed(own: list[Total]) -> Plain:
    served, scored = sum(each.served for each in own), sum(each.scored for each in own)
    return {
        "served": served,
        "failed": sum(each.failed for each in own),
        "actual_usd": sum(each.actual_usd for each in own),
        "predicted_usd": sum(each.predicted_usd for each in own),
        "mean_predicted_quality": sum(each.predicted_quality for each in own) / served if served else None,
        "scored": scored,
        "mean_realised_quality": sum(each.realised_quality for each in own) / scored if scored else None,
    }
