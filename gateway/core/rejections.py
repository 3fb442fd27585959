"""What an upstream's refusal means, whatever shape it comes in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import (
    UpstreamBusyError,
    UpstreamCredentialsError,
    UpstreamError,
    UpstreamRejectedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS: Final = (401, 402, 403)
BUSY: Final = 429
CLIENT_ERRORS: Final = range(400, 500)
EXCERPT: Final = 500  # characters of a foreign text that are passed on
SECRET: Final = re.compile(r"(?i)\b(?:bearer\s+\S+|(?:sk|key|token|api[-_]?key)[-_=:][\w\-.*]{6,})")
TAG: Final = re.compile(r"<[^>]{0,200}>")


def rejection(
    status: int, body: bytes, headers: Mapping[str, str], endpoint: str, *, now: float = 0.0
) -> UpstreamError:
    """The error for an answer that is none.

    Args:
        status: of the upstream; inside a 200, the code that its error names.
        body: as it came.
        headers: of the upstream, for `retry-after`.
        endpoint: its name, for the message.
        now: seconds since the epoch, for a `retry-after` that is a date.
    """
    text = message(body)
    if status in CREDENTIALS:
        return UpstreamCredentialsError(f"{endpoint} refuses our credentials ({status})", endpoint=endpoint)
    if status == BUSY:
        wait = retry_after(headers, now)
        return UpstreamBusyError(f"{endpoint} has enough for now: {text}", endpoint=endpoint, retry_after=wait)
    if status in CLIENT_ERRORS:
        return UpstreamRejectedError(normalised(status, body), upstream_status=status, endpoint=endpoint)
    return UpstreamError(f"{endpoint} answered {status}: {text}", endpoint=endpoint)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to stay away, from `retry-after-ms` or `retry-after` as seconds or a date; None when it says nothing."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"\d{1,9}(\.\d*)?", value):
            return float(value) / scale
    return _until(headers.get("retry-after", ""), now)


def _until(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to import

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (TypeError, ValueError):
        return None


def code_of(body: bytes) -> int:
    """The status that an error inside a 200 names; 502 when it names none."""
    try:
        error = msgspec.json.decode(body).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return 502
    code = error.get("code") if isinstance(error, dict) else None
    number = int(code) if isinstance(code, int | str) and str(code).isdigit() else 0
    return number if number in range(400, 600) else 502


def normalised(status: int, body: bytes) -> bytes:
    """The body as it came when it has OpenAI's shape, else its text in that shape."""
    try:
        error = msgspec.json.decode(body).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        error = None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return body
    kind = "invalid_request_error" if status in CLIENT_ERRORS else "upstream_error"
    shaped = {"error": {"message": message(body), "type": kind, "param": None, "code": None}}
    return msgspec.json.encode(shaped)


def message(body: bytes) -> str:
    """What a foreign error says, in one scrubbed line."""
    try:
        said = _said(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = TAG.sub(" ", body[: 4 * EXCERPT].decode("utf-8", "replace"))
    words = " ".join(said.split())[:EXCERPT]
    return SECRET.sub("[removed]", words) or "no text"


def _said(answer: object) -> str:
    if isinstance(answer, dict):
        for key in ("error", "message", "detail"):
            if answer.get(key):
                return _said(answer[key])
    return str(answer)
