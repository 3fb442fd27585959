"""The sections that name what clients send as `model`, and what is promised for it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway import domain
from gateway.settings.section import Name, Positive, Section, Share


class ObjectiveSettings(Section):
    """The promise of a route: exactly one of these."""

    min_quality: Share | None = None
    """The average success that is kept, at the least cost."""
    max_cost_per_1k: Positive | None = None
    """The average cost that is kept, USD per 1,000 queries, at the best quality."""
    tradeoff: Annotated[float, Field(ge=0, le=10)] | None = None
    """0 takes the cheapest model, 10 the best; 5 is halfway between them in quality."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of min_quality, max_cost_per_1k, tradeoff")
        return self

    def build(self) -> domain.Objective:
        if self.min_quality is not None:
            return domain.MinQuality(self.min_quality)
        if self.max_cost_per_1k is not None:
            return domain.MaxCost(self.max_cost_per_1k)
        return domain.Tradeoff(5.0 if self.tradeoff is None else self.tradeoff)


class RouteSettings(Section):
    """A name that clients send as `model`, and the promise made for it."""

    name: Name
    """What clients send as `model`."""
    models: tuple[str, ...] = ("*",)
    """Names of models, `*` and `?` allowed; one of them answers."""
    objective: ObjectiveSettings
    """What is promised."""
    risk: Annotated[float, Field(ge=0, le=5)] = 0
    """Caution: choices count an estimate less this many of its standard deviations. 0 takes it as it is."""
    usd_per_second: Positive = 1e-5
    """What a second until the last token is worth. At 0.00001, ten seconds are worth 0.1 m$, and an hour 0.036 USD."""
    quality: Literal["average", "batch"] = "average"
    """Keep a minimum quality on average over time, or within each batch, as published work does at a higher cost."""

    def build(self, models: tuple[str, ...]) -> domain.Route:
        chosen = tuple(name for name in models if any(fnmatchcase(name, glob) for glob in self.models))
        return domain.Route(
            name=self.name,
            models=chosen,
            objective=self.objective.build(),
            risk=self.risk,
            usd_per_second=self.usd_per_second,
            batch_quality=self.quality == "batch",
        )
