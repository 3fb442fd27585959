"""What an explained batch says, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a query did not go to an endpoint."""

    NOT_ALLOWED = "not allowed"  # which filter said no is known to whoever set it
    NO_SCORE = "no score"  # its price could not be computed
    TOO_LARGE = "too large"  # more tokens or money than the whole room
    FULL = "full"  # its slots went to others
    NO_TOKENS = "no tokens left"  # so did its tokens
    OTHER_ROWS = "other rows"  # better for this query, but the batch's quality, budget or gang speaks against it
    DEARER = "dearer"


@dataclass(frozen=True, slots=True)
class Alternative:
    """An endpoint that a query did not go to."""

    endpoint: str
    reason: Reason
    score_usd: float | None  # None where it has none
    extra_usd: float | None  # what it would have cost more than the choice, all else being equal; negative: less
    quality: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of one query."""

    query: str
    endpoint: str | None  # None: held
    score_usd: float
    alternatives: tuple[Alternative, ...]  # best score first
    words: str


@dataclass(frozen=True, slots=True)
class Scarcity:
    """An endpoint without room left in one row."""

    endpoint: str
    row: str  # "slots", or the token row's name
    room: int  # before the batch
    taken: int
    saving_usd: float  # by one more slot, or by a thousand more tokens
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A batch, explained. `plain` is ready for JSON."""

    step: str
    objective_usd: float
    bound_usd: float
    gap: float
    gain_usd: float
    choices: tuple[Choice, ...]
    scarce: tuple[Scarcity, ...]
    words: str

    @property
    def plain(self) -> dict[str, object]:
        """As dicts, lists, strings and numbers."""
        return asdict(self)
