"""What each route promised, and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.metrics.tally import Gauge, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping


class RouteGauges:
    """As of the last look. Averages forget over about 2,000 queries."""

    def __init__(self, tally: Tally) -> None:
        self.multiplier = Gauge(
            "paretogate_multiplier_usd", "What a route pays for one unit of quality", ["route"], tally=tally
        )
        self.bias = Gauge(
            "paretogate_route_bias_ratio",
            "How far answers score above their estimates, by feedback",
            ["route"],
            tally=tally,
        )
        self._quality = Gauge(
            "paretogate_route_quality_ratio",
            "Average quality of a route: asked, expected by the artifact's outcomes, predicted, realised by feedback",
            ["route", "kind"],
            tally=tally,
        )
        self._cost = Gauge(
            "paretogate_route_cost_per_1k_usd",
            "Average cost of 1,000 queries of a route: asked, predicted, actual",
            ["route", "kind"],
            tally=tally,
        )

    def quality(self, route: str, kinds: Mapping[str, float | None]) -> None:
        """By kind; what is not known has no series."""
        for kind, value in kinds.items():
            if value is not None:
                self._quality.labels(route, kind).set(value)

    def cost(self, route: str, kinds: Mapping[str, float | None]) -> None:
        """USD per 1,000 queries, by kind."""
        for kind, value in kinds.items():
            if value is not None:
                self._cost.labels(route, kind).set(value)
