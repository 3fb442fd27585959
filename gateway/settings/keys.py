"""The section that names callers, what they may use, and how much of it."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator

from gateway import domain
from gateway.settings.section import Count, Name, Positive, Section

DIGEST: Final = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")


class BudgetSettings(Section):
    """What a key may spend. It begins anew with every day or month, in UTC."""

    usd: Positive
    """The most, USD."""
    per: domain.Span = domain.Span.MONTH
    """day or month."""

    def build(self) -> domain.Budget:
        return domain.Budget(self.usd, self.per)


class KeySettings(Section):
    """One caller, known by its token. With any key configured, every request but a health check needs one."""

    name: Name
    """What metrics and logs call it."""
    hash: SecretStr
    """`sha256:` and the SHA-256 of the token, in hexadecimal; `paretogate key` makes both."""
    routes: tuple[str, ...] = ("*",)
    """The routes that it may name, `*` and `?` allowed."""
    models: tuple[str, ...] = ("*",)
    """The models that it may name, and that may answer it, `*` and `?` allowed."""
    requests_per_minute: Count | None = None
    """Over all replicas. Left out: unlimited."""
    tokens_per_minute: Count | None = None
    """Of prompts and answers, over all replicas. Left out: unlimited."""
    budget: BudgetSettings | None = None
    """What it may spend. Left out: unlimited."""
    priority: Annotated[int, Field(ge=-10, le=10)] = 10
    """The highest `routing.priority` that its queries get; what they ask beyond it is lowered to it."""
    admin: bool = False
    """Whether it may see metrics, and the decisions of other keys."""

    @field_validator("hash")
    @classmethod
    def _digest(cls, written: SecretStr) -> SecretStr:
        if not DIGEST.fullmatch(written.get_secret_value()):
            raise ValueError("write sha256: and 64 hexadecimal digits; `paretogate key` makes a token and its hash")
        return written

    @property
    def digest(self) -> bytes:
        """The token's SHA-256."""
        return bytes.fromhex(self.hash.get_secret_value().partition(":")[2])

    def build(self) -> domain.Key:
        return domain.Key(
            name=self.name,
            digest=self.digest,
            routes=self.routes,
            models=self.models,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            budget=self.budget.build() if self.budget else None,
            priority=self.priority,
            admin=self.admin,
        )
