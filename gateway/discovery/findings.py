"""What was found, in the shape of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """One place and what it serves. `place` is a short word that names its endpoints."""

    place: str
    url: str
    line: str  # for the operator
    kind: str = "openai"
    models: tuple[dict[str, Any], ...] = ()
    concurrency: int = 64
    key: object = None  # a secret that does not print itself


@dataclass(slots=True)
class Findings:
    """Models and endpoints as `models:` and `endpoints:` of a configuration would hold them."""

    models: list[dict[str, Any]] = field(default_factory=list)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # one for each place that was looked at and had something to say

    @property
    def configuration(self) -> dict[str, Any]:
        """A whole configuration; valid when there is an endpoint."""
        return {"version": 1, "models": self.models, "endpoints": self.endpoints}

    def add(self, found: Found) -> None:
        """Takes up a place. A name that another place uses at another price gets this place's name behind it."""
        self.lines.append(found.line)
        for model in found.models:
            named = self._named(model, found.place)
            place = {"name": f"{found.place}-{model['name']}", "model": named, "serves": model["name"]}
            secret = {} if found.key is None else {"api_key": found.key}
            room = {"capacity": {"concurrency": found.concurrency}}
            self.endpoints.append({**place, "url": found.url, "kind": found.kind, **secret, **room})

    def _named(self, model: dict[str, Any], place: str) -> str:
        name = str(model["name"])
        known = next((each for each in self.models if each["name"] == name), None)
        if known is not None and known["price"] == model["price"]:
            return name
        named = name if known is None else f"{name}@{place}"
        self.models.append({**model, "name": named})
        return named
