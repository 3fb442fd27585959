"""What a client may send as `model`, in OpenAI's shape, with prices and capabilities beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.keyring import may_name
from gateway.domain import ANYONE

if TYPE_CHECKING:
    from gateway.core.fleet import Fleet
    from gateway.domain import Key, Model, Objective, Route

Plain = dict[str, object]


class Listing:
    """Routes first, then models, in configuration order. `created` is when this configuration was taken up."""

    def __init__(self, fleet: Fleet, created: int, *, demonstration: frozenset[str] = frozenset()) -> None:
        self._fleet = fleet
        self._entries = {
            **{route.name: _route(route, created) for route in fleet.routes.values()},
            **{
                model.name: _model(model, created, fleet, demonstration=model.name in demonstration)
                for model in fleet.models
                if model.name in fleet.served
            },
        }

    def all(self, key: Key = ANYONE) -> list[Plain]:
        """What the key may use."""
        return [entry for name, entry in self._entries.items() if may_name(key, self._fleet, name)]

    def one(self, name: str) -> Plain | None:
        return self._entries.get(name)


def _route(route: Route, created: int) -> Plain:
    extension = {"kind": "route", "models": list(route.models), "objective": objective(route.objective)}
    return {"id": route.name, "object": "model", "created": created, "owned_by": "paretogate", "paretogate": extension}


def _model(model: Model, created: int, fleet: Fleet, *, demonstration: bool) -> Plain:
    price = model.price
    extension: Plain = {
        "kind": "model",
        "price_usd_per_million": {
            "input": price.input,
            "output": price.output,
            "cached_input": price.input if price.cached_input is None else price.cached_input,
        },
        "context": model.context,
        "can": sorted(capability.value for capability in model.can),
        "endpoints": [fleet.endpoints[index].name for index in fleet.endpoints_of_model[model.name]],
    }
    if demonstration:
        extension["demonstration"] = True
    owner = "paretogate-demonstration" if demonstration else "paretogate"
    return {"id": model.name, "object": "model", "created": created, "owned_by": owner, "paretogate": extension}


def objective(promised: Objective) -> Plain:
    """As it is written in a configuration."""
    names = {"MinQuality": "min_quality", "MaxCost": "max_cost_per_1k", "Tradeoff": "tradeoff"}
    value = next(getattr(promised, field) for field in promised.__dataclass_fields__)
    return {names[type(promised).__name__]: value}
