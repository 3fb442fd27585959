"""The faults of an endpoint: what is ordered of the replay upstream, and what a client is to see of it."""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = "the whole answer"
OTHER = "the whole answer of steady"
FAILED = "InternalServerError 502 upstream_failed"
CUT = "a part of the answer, then APIError upstream_failed"
BUSY = "RateLimitError 429 no_headroom"
REFUSED_US = "InternalServerError 502 upstream_credentials"
REFUSING = "refuse"  # nobody listens there
MODES = {True: "streamed", False: "not streamed"}


@dataclass(frozen=True)
class Row:
    """One fault in one mode."""

    fault: str  # in words
    kind: str  # for the replay upstream
    stream: bool
    alone: str
    beside: str = OTHER
    quick: bool = False  # also in `make test`
    how: str = ""  # a share, or the first so many

    @property
    def excludes(self) -> bool:
        """Whether one such answer takes the endpoint out, so that a second one would not be met."""
        return self.kind == "401"

    @property
    def model(self) -> str:
        return f"{self.kind}-{self.how or 'all'}-{'s' if self.stream else 'w'}"


def both(fault: str, kind: str, alone: str, beside: str = OTHER, *, how: str = "", quick: bool = False) -> list[Row]:
    return [Row(fault, kind, stream, alone, beside, quick, how) for stream in MODES]


def streamed(fault: str, kind: str, alone: str, beside: str = OTHER, *, quick: bool = False) -> Row:
    return Row(fault, kind, True, alone, beside, quick)  # noqa: FBT003 - named by the function


def whole(fault: str, kind: str, alone: str, beside: str = OTHER) -> Row:
    return Row(fault, kind, False, alone, beside)  # noqa: FBT003 - named by the function


ROWS = [
    *both("refuses connections", REFUSING, FAILED, quick=True),
    *both("closes without a byte", "hang-up", FAILED),
    *both("resets the connection", "reset", FAILED),
    *both("stalls before its headers", "stall-before-headers", FAILED),
    *both("stalls after its headers", "stall-after-headers", FAILED),
    streamed("stalls inside an event", "stall-mid-event", CUT, CUT),
    whole("stalls inside its body", "stall-mid-event", FAILED),
    streamed("stalls between events", "stall-mid-stream", CUT, CUT),
    streamed("is cut between events", "cut-mid-stream", CUT, CUT, quick=True),
    whole("is cut inside its body", "cut-mid-stream", FAILED),
    streamed("is cut inside an event", "cut-mid-event", CUT, CUT),
    streamed("resets between events", "reset-mid-stream", CUT, CUT),
    whole("resets inside its body", "reset-mid-stream", FAILED),
    streamed("ends well after half of its events, without a reason", "end-early", CUT, CUT),
    *both("sends garbage under 200", "garbage", FAILED),
    *both("sends half a UTF-8 character", "half-character", FAILED),
    *both("says an error (400) under 200", "error-first", "BadRequestError 400 400", "BadRequestError 400 400"),
    streamed("says an error in mid-stream", "error-mid-stream", "a part of the answer, then APIError 500",
             "a part of the answer, then APIError 500", quick=True),
    *both("says 429 with a retry-after", "429-retry-after", BUSY),
    *both("says 429 without a retry-after", "429", BUSY),
    *both("says 400", "400", "BadRequestError 400 None", "BadRequestError 400 None"),
    whole("says 401: refuses our key", "401", REFUSED_US),
    *both("says 500 always", "500", FAILED),
    *both("says 500 once, then is well", "500", WHOLE, how="x1"),
    *both("says 500 three times, then is well", "500", FAILED, how="x3"),
    *both("says 503", "503", FAILED),
    *both("is a proxy's 502 page", "html", FAILED),
    *both("tells a usage that cannot be", "wrong-usage", WHOLE, WHOLE),
    *both("tells no usage", "no-usage", WHOLE, WHOLE),
    *both("answers with 20 MB", "huge", WHOLE, WHOLE),
    *both("drips its answer", "drip", WHOLE, WHOLE),
    streamed("never closes after its end", "never-closes", WHOLE, WHOLE),
    whole("never sends its last byte", "never-closes", FAILED),
]  # fmt: skip
