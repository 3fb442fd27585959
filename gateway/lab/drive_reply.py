"""One query sent to a gateway, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from time import perf_counter  # uvloop's own clock counts whole milliseconds
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from gateway.core.events import ends

if TYPE_CHECKING:
    from collections.abc import Mapping

DONE = b"data: [DONE]"
CUT = "cut"  # the answer ended before its end
NOT_AN_ANSWER = "not_an_answer"  # 200, but neither a completion nor an error


class End(StrEnum):
    """Of everything that is sent, exactly one."""

    ANSWERED = "answered"
    FAILED = "failed"  # an error came back, or half an answer
    LOST = "lost"  # nothing came back


@dataclass(frozen=True, slots=True)
class Sent:
    """One query and what came back. What no header told is None."""

    row: int  # of the pool
    end: End
    seconds: float
    error: str = ""  # "429 no_headroom"; empty when answered
    first_token: float | None = None  # seconds, of a stream
    model: str | None = None
    decision: str | None = None
    query: str | None = None  # the one that a replay upstream says it answered
    score: float | None = None
    quality: float | None = None  # predicted
    cost_usd: float | None = None  # of a stream predicted, else actual
    overhead_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is ready to go."""

    row: int
    body: bytes


class _NoAnswerError(Exception):
    """How a reply says that it is no answer; never leaves this module."""


async def send(session: aiohttp.ClientSession, url: str, call: Call, *, stream: bool) -> Sent:
    """Posts the call and reads the reply to its end."""
    started = perf_counter()
    headers: Mapping[str, str] = {}
    first: float | None = None
    try:
        async with session.post(url, data=call.body, headers={"content-type": "application/json"}) as reply:
            headers = reply.headers
            first = await _read(reply, stream=stream)
    except _NoAnswerError as failure:
        return _sent(call, End.FAILED, perf_counter() - started, headers, error=str(failure))
    except (aiohttp.ClientError, TimeoutError) as error:
        end, code = (End.FAILED, CUT) if headers else (End.LOST, type(error).__name__)
        return _sent(call, end, perf_counter() - started, headers, error=code)
    return _sent(call, End.ANSWERED, perf_counter() - started, headers, first_token=first and first - started)


async def _read(reply: aiohttp.ClientResponse, *, stream: bool) -> float | None:
    """Reads an answer to its end; when the first event of a stream came."""
    if reply.status != HTTPStatus.OK:
        raise _NoAnswerError(f"{reply.status} {_error_code(await reply.read())}")
    if stream:
        return await _read_stream(reply)
    _check_whole(await reply.read())
    return None


async def _read_stream(reply: aiohttp.ClientResponse) -> float:
    """Reads events to the end; when the first one came."""
    first, received = 0.0, bytearray()
    async for chunk in reply.content.iter_any():
        if not first and b"data:" in chunk:
            first = perf_counter()
        received += chunk
    events = [each for each in bytes(received).split(b"\n\n") if each.startswith(b"data:")]
    for each in events:
        if b'"error"' in each:
            _raise_error_event(each)
    # some servers send no end marker; a reason for ending is an end too, as it is to the gateway
    if not events or (events[-1].strip() != DONE and not any(map(ends, events))):
        raise _NoAnswerError(CUT)
    return first


def _raise_error_event(event: bytes) -> None:
    try:
        value = msgspec.json.decode(event.removeprefix(b"data:"))
    except msgspec.DecodeError as error:
        raise _NoAnswerError(NOT_AN_ANSWER) from error
    if isinstance(value, dict) and value.get("error"):
        raise _NoAnswerError(f"event {_code_of(value)}")


def _check_whole(body: bytes) -> None:
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _NoAnswerError(NOT_AN_ANSWER) from error
    if not isinstance(value, dict) or not value.get("choices"):
        raise _NoAnswerError(NOT_AN_ANSWER)


def _error_code(body: bytes) -> str:
    try:
        return _code_of(msgspec.json.decode(body))
    except msgspec.DecodeError:
        return NOT_AN_ANSWER


def _code_of(value: object) -> str:
    error: Any = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "error")
    return "error"


def _sent(
    call: Call,
    end: End,
    seconds: float,
    headers: Mapping[str, str],
    *,
    error: str = "",
    first_token: float | None = None,
) -> Sent:
    return Sent(
        row=call.row,
        end=end,
        seconds=seconds,
        error=error,
        first_token=first_token,
        model=headers.get("x-paretogate-model"),
        decision=headers.get("x-paretogate-decision"),
        query=headers.get("x-replay-query"),
        score=_number(headers.get("x-replay-score")),
        quality=_number(headers.get("x-paretogate-quality")),
        cost_usd=_number(headers.get("x-paretogate-cost-usd")),
        overhead_ms=_number(headers.get("x-paretogate-overhead-ms")),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
