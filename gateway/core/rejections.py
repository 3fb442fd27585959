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
TOO_SLOW: Final = 408  # it gave up on us: its fault, and elsewhere it may work
CLIENT_ERRORS: Final = range(400, 500)
ERRORS: Final = range(400, 600)
FAILED: Final = 502
# what an error inside a 200 calls itself, where it names no status
STATUS_OF: Final = {
    "authentication_error": 401,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "overloaded_error": 429,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}
EXCERPT: Final = 500  # characters of a foreign text that are passed on
SECRET: Final = re.compile(r"(?i)\b(?:bearer\s+\S+|(?:sk|key|token|api[-_]?key)[-_=:]\s?[\w\-.*]{6,})")
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
    if status in CLIENT_ERRORS and status != TOO_SLOW:
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
    answer = _read(body)
    error = answer.get("error")
    told = {**answer, **(error if isinstance(error, dict) else {})}
    for name in ("status_code", "status", "code", "type"):
        value = told.get(name)
        number = int(value) if isinstance(value, int | str) and re.fullmatch(r"\d{3}", str(value)) else 0
        status = number or STATUS_OF.get(value if isinstance(value, str) else "", 0)
        if status in ERRORS:
            return status
    return FAILED


def normalised(status: int, body: bytes) -> bytes:
    """The body as it came when it has OpenAI's shape, else what it says in that shape."""
    answer = _read(body)
    error = answer.get("error")
    if isinstance(error, dict) and _is_openai(error):
        return body
    told = error if isinstance(error, dict) else answer
    kind, param, code = (told.get(name) for name in ("type", "param", "code"))
    fallback = "invalid_request_error" if status in CLIENT_ERRORS else "upstream_error"
    shaped = {
        "message": message(body),
        "type": kind if isinstance(kind, str) and kind else fallback,
        "param": param if isinstance(param, str) else None,
        "code": str(code) if isinstance(code, str | int) and code else None,
    }
    return msgspec.json.encode({"error": shaped})


def reshaped(event: bytes) -> bytes:
    """The data of an error event as OpenAI's clients expect it; the response surface has a shape of its own."""
    return normalised(code_of(event), event) if _read(event).get("error") else event


def _is_openai(error: dict[str, object]) -> bool:
    """Strings; `param` and `code` may be null or left out."""
    said = isinstance(error.get("message"), str) and isinstance(error.get("type", ""), str)
    return said and all(error.get(name) is None or isinstance(error[name], str) for name in ("param", "code"))


def _read(body: bytes) -> dict[str, object]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def message(body: bytes) -> str:
    """What a foreign error says, in one scrubbed line."""
    try:
        said = _said(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = TAG.sub(" ", body[: 4 * EXCERPT].decode("utf-8", "replace"))
    words = " ".join(said.split())[:EXCERPT]
    return SECRET.sub("[removed]", words) or "no text"


def _said(answer: object) -> str:
    if isinstance(answer, dict):
        for key in ("error", "message", "detail", "errors"):
            if answer.get(key):
                return _said(answer[key])
    return answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
