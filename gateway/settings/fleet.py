"""The sections that name models, what they cost, and where they are served."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from gateway import domain
from gateway.settings.section import Count, Name, Positive, Section, Share, Usd


class PriceSettings(Section):
    """USD per million tokens. A model that runs on your own machines costs 0; an unknown price is an error."""

    input: Usd
    """Of a prompt."""
    output: Usd
    """Of an answer."""
    cached_input: Usd | None = None
    """Of the part of a prompt that the upstream had cached; left out, it costs what the rest of the prompt costs."""


class PriorSettings(Section):
    """What is believed of a model that the artifact does not know, as Beta pseudo-counts."""

    quality: Share
    """Expected success, 0 to 1."""
    strength: Positive = 20
    """How many observed queries this belief is worth."""
    output_tokens: Positive = 256
    """Expected length of an answer."""


class ModelSettings(Section):
    """What can answer."""

    name: Name
    """What clients see, and what other sections call it."""
    price: PriceSettings
    """What it costs."""
    context: Count | None = None
    """Tokens of prompt and answer together; longer queries do not come here. Left out: not limited by the gateway."""
    can: tuple[domain.Capability, ...] | None = None
    """Any of tools, vision, audio, json_schema; queries that need others do not come here. Left out: all of them."""
    like: str | None = None
    """The artifact's model that describes it. Left out: the one of its own name, if no prior is given."""
    prior: PriorSettings | None = None
    """What is believed of it where the artifact says nothing."""

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
    """What an endpoint can take. What is left out is unlimited, but for concurrency."""

    concurrency: Count = 64
    """Queries in flight at once, over all replicas of the gateway."""
    tokens_per_minute: Count | None = None
    """Tokens of prompts and answers, as a provider's rate limit counts them."""
    requests_per_minute: Count | None = None
    """Queries, as a provider's rate limit counts them."""
    kv_tokens: Count | None = None
    """Tokens that the endpoint's KV cache holds at once, prompts and answers of all queries in flight."""


class TimeoutSettings(Section):
    """Seconds."""

    connect: Positive = 2
    """To open a connection."""
    first_byte: Positive = 30
    """From the request to the first byte of a stream; later, another endpoint is tried. An answer that is not streamed
    begins when it is finished: it has `total`."""
    idle: Positive = 30
    """Between two parts of an answer."""
    total: Positive = 600
    """For the whole answer."""


class EndpointSettings(Section):
    """One address of one model. A model may have several endpoints; load is balanced over them."""

    name: Name
    """What metrics, headers and logs call it."""
    model: str
    """The name of the model that it serves."""
    kind: domain.Kind = domain.Kind.OPENAI
    """What answers there: openai (any OpenAI-compatible server), vllm or ollama. It decides how its load is read."""
    serves: str = ""
    """The upstream's own name of the model. Empty: the model's name."""
    url: Annotated[str, Field(repr=False)]
    """Where the API begins, with `/v1` where the upstream has that."""
    api_key: SecretStr | None = None
    """Sent to the upstream as a bearer token; never shown. Write it as `${VARIABLE}`."""
    capacity: CapacitySettings = CapacitySettings()
    """What it can take."""
    timeout: TimeoutSettings = TimeoutSettings()
    """How long to wait for it."""

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
