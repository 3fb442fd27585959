"""The whole configuration. Unknown keys are errors; each section turns itself into the domain's values."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, Self

from pydantic import model_validator

from gateway.settings.fleet import EndpointSettings, ModelSettings
from gateway.settings.keys import KeySettings
from gateway.settings.routes import ObjectiveSettings, RouteSettings
from gateway.settings.section import Section
from gateway.settings.service import (
    LoadSettings,
    LogSettings,
    PredictorSettings,
    QueueSettings,
    ServerSettings,
    TelemetrySettings,
    WindowSettings,
)


class Settings(Section):
    """A configuration of Paretogate. Required: version, models and endpoints."""

    version: Literal[1]
    """Of this format."""
    models: tuple[ModelSettings, ...]
    """What can answer."""
    endpoints: tuple[EndpointSettings, ...]
    """Where the models are served."""
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="auto", objective=ObjectiveSettings(tradeoff=5)),)
    """What clients may send as `model`, beside the models' own names. Left out: `auto`, halfway in quality."""
    keys: tuple[KeySettings, ...] = ()
    """Who may call. Left out: everybody who reaches the port, and any Authorization is ignored."""
    window: WindowSettings = WindowSettings()
    """How queries are decided together."""
    queue: QueueSettings = QueueSettings()
    """How long a query waits for room."""
    predictor: PredictorSettings = PredictorSettings()
    """What estimates quality and length."""
    load: LoadSettings = LoadSettings()
    """Where load is kept."""
    log: LogSettings = LogSettings()
    """Where decisions are kept."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Traces, and a line for each decision."""
    server: ServerSettings = ServerSettings()
    """The service itself."""

    @property
    def fingerprint(self) -> str:
        """Tells configurations apart. Secrets are not in it."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        models = [model.name for model in self.models]
        if not models:
            raise ValueError("models: name at least one")
        _unique("models", models)
        _unique("endpoints", [endpoint.name for endpoint in self.endpoints])
        _unique("routes and models", [route.name for route in self.routes] + models)
        _unique("keys", [key.name for key in self.keys])
        if len({key.digest for key in self.keys}) < len(self.keys):
            raise ValueError("keys: two of them have the same hash; give each a token of its own")
        for place, endpoint in enumerate(self.endpoints):
            if endpoint.model not in models:
                raise ValueError(f"endpoints[{place}].model: no model is named {endpoint.model!r}; there are {models}")
        for place, route in enumerate(self.routes):
            if not route.build(tuple(models)).models:
                raise ValueError(f"routes[{place}].models: {list(route.models)} matches none of {models}")
        return self


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what}: the name {name!r} is used twice")
