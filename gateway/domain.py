"""The nouns of the gateway, as plain values.

A Query (admitted work) is scored against every Model (what can answer, and its prices) and placed on one Endpoint
(where: one address of one Model, with its Capacity). Routes name the promise that operators make. What is made anew for
every query is a msgspec struct, which takes a fifth of a frozen dataclass's time to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS_PER_PRICE = 1_000_000  # prices are quoted in USD per million tokens


class Capability(StrEnum):
    """What a query can need of a model, as named under `can:` in the configuration."""

    TOOLS = "tools"
    VISION = "vision"
    AUDIO = "audio"
    JSON_SCHEMA = "json_schema"


class Kind(StrEnum):
    """What serves an endpoint; decides which load report is read from it."""

    OPENAI = "openai"
    VLLM = "vllm"
    OLLAMA = "ollama"


class Outcome(StrEnum):
    """How a query ended. Exactly one per query."""

    SERVED = "served"
    INVALID = "invalid"  # the client's error, ours or the upstream's 4xx
    REJECTED = "rejected"  # key, permission or rate
    NO_HEADROOM = "no_headroom"  # 429: come back soon
    UPSTREAM_FAILED = "upstream_failed"  # 502 and 503: before the first byte
    CUT = "cut"  # the upstream ended in the middle of an answer
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"  # the client left
    FAILED = "failed"  # our own fault


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer. Cached tokens are part of the input, never beside it."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    estimated: bool = False  # the upstream reported none


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float | None = None  # None: cached tokens cost what others cost

    def usd(self, usage: Usage) -> float:
        """What the usage costs, in USD."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = usage.input_tokens - usage.cached_tokens
        return (
            fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output
        ) / TOKENS_PER_PRICE


@dataclass(frozen=True, slots=True)
class Prior:
    """What the operator believes of a model without history: Beta pseudo-counts."""

    quality: float  # mean success, 0..1
    strength: float  # how many observations the belief is worth
    output_tokens: float = 256.0  # mean length of an answer


@dataclass(frozen=True, slots=True)
class Model:
    """What can answer, and at what price."""

    name: str
    price: Price
    context: int | None = None  # tokens, input and output together; None: not limited by us
    can: frozenset[Capability] = frozenset(Capability)
    like: str | None = None  # the artifact's model that describes it
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an endpoint can take; None is unlimited."""

    concurrency: int  # queries in flight
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    kv_tokens: int | None = None  # tokens held at once, input and output


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 2.0
    first_byte: float = 30.0
    idle: float = 30.0  # between two chunks
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of one model. The key for it is kept by the part that opens connections."""

    name: str
    model: str
    url: str = field(repr=False)  # it may hold a password
    capacity: Capacity
    kind: Kind = Kind.OPENAI
    serves: str = ""  # the upstream's own name of the model; empty: ours
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True)
class MinQuality:
    """The cheapest mix whose average quality is at least this."""

    quality: float


@dataclass(frozen=True, slots=True)
class MaxCost:
    """The best quality within this average cost, USD per 1,000 queries."""

    usd_per_1k: float


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """0 is the cheapest, 10 the best; between, that share of the way in quality."""

    level: float


Objective = MinQuality | MaxCost | Tradeoff


@dataclass(frozen=True, slots=True)
class Route:
    """A name that clients send as `model`, the models behind it and the promise made for it."""

    name: str
    models: tuple[str, ...]
    objective: Objective
    risk: float = 0.0  # z: choices use quality - z x sd
    usd_per_second: float = 1e-5  # the price of a second: 0.036 USD an hour
    batch_quality: bool = False  # the papers' constraint per batch instead of the carried promise


class Span(StrEnum):
    """How long a budget is for, by the calendar, in UTC."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a key may spend in each span."""

    usd: float
    per: Span


@dataclass(frozen=True, slots=True)
class Key:
    """One caller's: what it may use, and how much. Its token is known by a digest alone."""

    name: str
    digest: bytes = field(repr=False, default=b"")  # SHA-256 of the token
    routes: tuple[str, ...] = ("*",)  # globs of what it may name as `model`
    models: tuple[str, ...] = ("*",)  # globs of what it may name, and of what may answer it
    requests_per_minute: int | None = None  # None: unlimited, here and below
    tokens_per_minute: int | None = None
    budget: Budget | None = None
    priority: int = 10  # the highest that its queries get
    admin: bool = False

    @property
    def limited(self) -> bool:
        """Whether anything is counted for it."""
        return self.budget is not None or self.requests_per_minute is not None or self.tokens_per_minute is not None


ANYONE: Final = Key("", admin=True)  # who calls where no keys are configured


@dataclass(frozen=True, slots=True)
class Preferences:
    """What one request asks for itself: the `routing` object or its `x-paretogate-*` headers."""

    min_quality: float | None = None  # a floor for this query alone, 0..1
    tradeoff: float | None = None  # 0..10
    max_cost_usd: float | None = None
    models: tuple[str, ...] = ()  # globs; empty: all
    session: str | None = None
    deadline_ms: float | None = None
    priority: int = 0
    explain: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Admitted work. `messages` and `tools` are the client's own JSON; whoever scores the query renders them."""

    id: str
    target: str  # the route's or the pinned model's name
    models: tuple[str, ...] = ()  # admitted, in configuration order
    messages: bytes
    tools: bytes = b""
    needs: frozenset[Capability] = frozenset()
    characters: int = 0  # of all text in the messages and tools
    max_tokens: int | None = None
    choices: int = 1  # answers asked for at once; each is paid for
    continues: tuple[str, ...] = ()  # the tool calls that it answers, and the response that it goes on from
    arrived_at: float = 0.0  # seconds of the loop's clock
    deadline_at: float = float("inf")  # when it must have been placed
    patient_until: float = float("inf")  # when its client no longer waits for it to be placed
    ends_at: float = float("inf")  # when it must have been answered
    preferences: Preferences = Preferences()
    key: str = ""  # whose it is and in whose turn it waits: the name of its key, or of its caller; never a secret

    def admitted(self, models: tuple[str, ...], deadline_at: float) -> Query:
        """The same query with who may answer it, and by when it must be placed."""
        return msgspec.structs.replace(self, models=models, deadline_at=deadline_at)

    def settled(self) -> Query:
        """The same query without its text, which nobody reads again."""
        return msgspec.structs.replace(self, messages=b"", tools=b"")
