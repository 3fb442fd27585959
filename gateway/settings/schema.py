"""What a configuration may say. Unknown keys are errors; each section turns itself into the domain's values."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway import domain

Share = Annotated[float, Field(ge=0, le=1)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def _plain_name(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError("a name is printable text without spaces around it")
    return name


Name = Annotated[str, AfterValidator(_plain_name)]


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PriceSettings(Section):
    """USD per million tokens."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None


class PriorSettings(Section):
    """Belief about a model without history, as Beta pseudo-counts."""

    quality: Share
    strength: Positive = 20
    output_tokens: Positive = 256


class ModelSettings(Section):
    """What can answer. `like` names the artifact's model that describes it; `prior` serves where there is none."""

    name: Name
    price: PriceSettings
    context: Count | None = None
    can: tuple[domain.Capability, ...] | None = None  # None: everything; the upstream judges
    like: str | None = None
    prior: PriorSettings | None = None

    def build(self) -> domain.Model:
        return domain.Model(
            name=self.name,
            price=domain.Price(self.price.input, self.price.output, self.price.cached_input),
            context=self.context,
            can=frozenset(domain.Capability) if self.can is None else frozenset(self.can),
            like=self.like,
            prior=domain.Prior(**self.prior.model_dump()) if self.prior else None,
        )


class CapacitySettings(Section):
    """What an endpoint can take; what is left out is unlimited."""

    concurrency: Count = 64
    tokens_per_minute: Count | None = None
    requests_per_minute: Count | None = None
    kv_tokens: Count | None = None


class TimeoutSettings(Section):
    """Seconds."""

    connect: Positive = 2
    first_byte: Positive = 30
    idle: Positive = 30
    total: Positive = 600


class EndpointSettings(Section):
    """One address of one model."""

    name: Name
    model: str
    kind: domain.Kind = domain.Kind.OPENAI
    serves: str = ""
    url: str
    api_key: SecretStr | None = None
    capacity: CapacitySettings = CapacitySettings()
    timeout: TimeoutSettings = TimeoutSettings()

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("a url begins with http:// or https://")
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _header_safe(cls, key: SecretStr | None) -> SecretStr | None:
        secret = key.get_secret_value() if key else ""
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError("a key is printable ASCII; look for a stray line end")
        return key if secret else None

    def build(self) -> domain.Endpoint:
        return domain.Endpoint(
            name=self.name,
            model=self.model,
            url=self.url,
            capacity=domain.Capacity(**self.capacity.model_dump()),
            kind=self.kind,
            serves=self.serves or self.model,
            timeouts=domain.Timeouts(**self.timeout.model_dump()),
        )


class ObjectiveSettings(Section):
    """Exactly one promise."""

    min_quality: Share | None = None
    max_cost_per_1k: Positive | None = None
    tradeoff: Annotated[float, Field(ge=0, le=10)] | None = None

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
    models: tuple[str, ...] = ("*",)
    objective: ObjectiveSettings
    risk: Annotated[float, Field(ge=0, le=5)] = 0
    usd_per_second: Positive = 1e-4
    quality: Literal["average", "batch"] = "average"

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


class WindowSettings(Section):
    """How long queries may wait for each other, under contention only."""

    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 10
    max_size: Annotated[int, Field(gt=0, le=1024)] = 64
    solver_ms: Annotated[float, Field(gt=0, le=1000)] = 20  # time budget of one joint decision


class QueueSettings(Section):
    """How long a query may wait for room before it is refused, and how many may."""

    max_wait_s: Annotated[float, Field(ge=0, le=3600)] = 30
    max_size: Count = 1024


class PredictorSettings(Section):
    """The bundled artifact by its name, a folder, or a predictor service; nothing: the models' priors."""

    artifact: str | None = None
    url: str | None = None
    budget_ms: Positive = 250  # later than this, the priors answer
    cache: Annotated[int, Field(ge=0)] = 10_000  # prompts, by hash

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.artifact and self.url:
            raise ValueError("give artifact or url, not both")
        return self


class LoadSettings(Section):
    """Where leases are kept; empty: in this process."""

    redis: SecretStr = SecretStr("")
    prefix: Name = "paretogate"
    lease_s: Annotated[float, Field(ge=1, le=600)] = 15


class ServerSettings(Section):
    """The service itself."""

    drain_s: Annotated[float, Field(ge=0)] = 10
    max_body_mb: Positive = 20
    ping_s: Annotated[float, Field(ge=0)] = 15  # comments into a silent stream; 0: none
    decisions: Count = 10_000  # kept for GET /v1/decisions


class Settings(Section):
    """The whole configuration."""

    version: Literal[1]
    models: tuple[ModelSettings, ...]
    endpoints: tuple[EndpointSettings, ...]
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="auto", objective=ObjectiveSettings(tradeoff=5)),)
    window: WindowSettings = WindowSettings()
    queue: QueueSettings = QueueSettings()
    predictor: PredictorSettings = PredictorSettings()
    load: LoadSettings = LoadSettings()
    server: ServerSettings = ServerSettings()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        models = [model.name for model in self.models]
        if not models:
            raise ValueError("models: name at least one")
        _unique("models", models)
        _unique("endpoints", [endpoint.name for endpoint in self.endpoints])
        _unique("routes and models", [route.name for route in self.routes] + models)
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
