"""What we add to an answer, as ASGI header pairs and bytes, and our errors in OpenAI's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from gateway.errors import BudgetSpentError, GatewayError, InvalidKeyError, RateLimitError, UpstreamRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.decision import Decision

Headers = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")
EVENTS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
EVENT_NAMES: Final = frozenset(name for name, _ in EVENTS)
PING: Final = b": ping\n\n"
NO_RETRY: Final = (b"x-should-retry", b"false")


def header_text(name: str) -> bytes:
    """A configured name as a header's value; what is not ASCII is percent-encoded."""
    return (name if name.isascii() else quote(name, safe=" /:@+,;=()[]")).encode()


def decision_headers(decision: Decision) -> Headers:
    """What was decided. The cost is the actual one where the whole answer is known, else the predicted."""
    cost = decision.expected.cost_usd if decision.cost_usd is None else decision.cost_usd
    headers = [
        (b"x-paretogate-decision", decision.query.id.encode()),
        (b"x-paretogate-model", header_text(decision.model)),
        (b"x-paretogate-endpoint", header_text(decision.endpoint)),
        (b"x-paretogate-cost-usd", b"%.9f" % cost),
        (b"x-paretogate-quality", b"%.4f" % decision.expected.quality),
        (b"x-paretogate-overhead-ms", b"%.3f" % (decision.watch.total * 1000)),
    ]
    if decision.query.preferences.explain:
        headers.append((b"server-timing", server_timing(decision.watch.parts)))
    return headers


def server_timing(parts: Mapping[str, float]) -> bytes:
    """The parts of the overhead, in milliseconds; they sum to it."""
    return ", ".join(f"{part};dur={seconds * 1000:.4f}" for part, seconds in parts.items()).encode()


def error_body(error: GatewayError) -> bytes:
    """OpenAI's shape; an upstream's own rejection goes on as it came."""
    if isinstance(error, UpstreamRejectedError):
        return error.body
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.type,
                "param": error.param,
                "code": error.code or None,
            }
        }
    )


def error_status(error: GatewayError) -> int:
    return error.upstream_status if isinstance(error, UpstreamRejectedError) else error.status


def error_headers(error: GatewayError) -> Headers:
    """Whether and when to come back. Retries are ours: what we have given up is not to be tried again at once."""
    headers: Headers = [JSON, (b"x-should-retry", b"true" if error.should_retry else b"false")]
    if error.retry_after is not None and not isinstance(error, BudgetSpentError):
        headers.append((b"retry-after", b"%d" % max(1, -int(-error.retry_after // 1))))
        headers.append((b"retry-after-ms", b"%d" % (error.retry_after * 1000)))
    if isinstance(error, RateLimitError):
        headers += [(b"x-ratelimit-" + name.encode(), value.encode()) for name, value in error.rates.items()]
    if isinstance(error, InvalidKeyError):
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def error_event(error: GatewayError) -> bytes:
    """For a stream that has begun. No end marker follows."""
    return b"data: " + error_body(error) + b"\n\n"
