"""The sections of the service itself: its window, queue, predictor, load book and server."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.settings.section import Count, Name, Positive, Section


class WindowSettings(Section):
    """How queries are decided together. They wait for each other under contention only; a lone query never waits."""

    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 10
    """How long newcomers wait, at most, after the last batch left somebody without room. A slot that frees ends it."""
    max_size: Annotated[int, Field(gt=0, le=1024)] = 64
    """How many queries are decided together, at most."""
    solver_ms: Annotated[float, Field(gt=0, le=1000)] = 20
    """Time budget of one joint decision; then the best answer found so far is used."""


class QueueSettings(Section):
    """Queries that no endpoint has room for."""

    max_wait_s: Annotated[float, Field(ge=0, le=3600)] = 30
    """How long one waits for room before it is refused with 429. A client's own deadline may be sooner."""
    max_size: Count = 1024
    """How many wait, in all. In a full line whoever's turn comes last is refused at once."""


class PredictorSettings(Section):
    """What estimates quality and length. With neither artifact nor url the models' priors serve."""

    artifact: str | None = None
    """`starter` is the bundled one; else a folder that `paretogate train` wrote."""
    encoder: Annotated[str, Field(repr=False)] = ""
    """Where the artifact's encoder is, if not where training found it: a folder, or `URL#MODEL` of a server."""
    encoder_key: SecretStr = SecretStr("")
    """For an embeddings server that wants a key; never shown. Write it as `${VARIABLE}`."""
    url: Annotated[str | None, Field(repr=False)] = None
    """Instead of an artifact: a `paretogate predictor` that serves one, as in `http://predictor:8090`."""
    budget_ms: Positive = 250
    """A prediction that takes longer, of the artifact or of the service, is replaced by the priors."""
    cache: Annotated[int, Field(ge=0)] = 10_000
    """Predictions kept, by a hash of the prompt."""

    @field_validator("url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("a url begins with http:// or https://")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.artifact and self.url:
            raise ValueError("give artifact or url, not both")
        return self


class LoadSettings(Section):
    """Where it is kept which queries hold which slots."""

    redis: SecretStr = SecretStr("")
    """A Redis that all replicas share, as in `redis://host:6379/0`. Empty: in this process alone."""
    prefix: Name = "paretogate"
    """Before every key in Redis, so that several fleets can use one."""
    lease_s: Annotated[float, Field(ge=1, le=600)] = 15
    """Seconds after which the slots of a replica that died are free again. Living replicas renew theirs."""
    answer_ms: Annotated[float, Field(ge=5, le=5000)] = 50
    """Milliseconds within which Redis must answer, else a replica goes by its own view until it does again. A query
    feels that much of a Redis that stalls, once. More where Redis is far away."""
    sums: str = ""
    """A file that keeps the promises' sums over a restart, where no Redis does. Empty: they begin anew."""


class LogSettings(Section):
    """The decision log: what was decided, what it cost and how well it turned out, beyond memory and restarts."""

    url: SecretStr = SecretStr("sqlite:///paretogate.sqlite")
    """A database as SQLAlchemy names it: a SQLite file, by default in the working directory, or
    `postgresql+psycopg://user:password@host/name` for several machines. Empty: decisions are kept in memory alone."""
    prompts: bool = False
    """Whether prompts are stored, so that `paretogate export` gives a pool to train on. Else only their hashes are."""
    retention_days: Positive = 30
    """Decisions are forgotten after so many days."""
    max_rows: Count = 200_000
    """How many are kept at most, the newest. One takes about 2 kB, without its prompt."""
    buffer: Count = 10_000
    """How many may wait to be written; the next ones are dropped and counted. No query ever waits for the log."""


class TelemetrySettings(Section):
    """What is told of each query, beside the metrics. Never a prompt, an answer or a secret."""

    traces: bool = False
    """Whether spans go to an OpenTelemetry collector, by OTLP over HTTP. Where it is, the usual `OTEL_EXPORTER_OTLP_…`
    variables say. Needs the extra `otel`."""
    decisions: bool = False
    """Whether each decision that has ended is one JSON line on standard output."""


class ServerSettings(Section):
    """How it takes requests, answers and ends."""

    drain_s: Annotated[float, Field(ge=0)] = 10
    """Seconds that running answers are given after SIGTERM."""
    max_body_mb: Positive = 20
    """The largest request body, in MiB."""
    ping_s: Annotated[float, Field(ge=0)] = 15
    """Seconds of silence after which a waiting stream gets a comment line, so that proxies keep it. 0: never."""
    decisions: Count = 10_000
    """Decisions kept in memory, for `GET /v1/decisions` and for feedback. Older ones are in the log."""
