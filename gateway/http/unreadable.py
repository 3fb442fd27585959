"""Why a body cannot be read, in one sentence that names the field where it can. Slow, and for bad bodies only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

MALFORMED: Final = "JSON is malformed: "
NESTED: Final = "it is nested too deeply"
LOOKED_AT: Final = 1_000_000  # bytes: a longer body is told only where it broke, so that looking never blocks others


def not_json(body: bytes, error: Exception) -> InvalidRequestError:
    """The body is no JSON object."""
    if isinstance(error, RecursionError):
        return InvalidRequestError(f"the body is not usable: {NESTED}")
    if not body:
        return InvalidRequestError("the body is empty; send a JSON object")
    field = _field_beyond_json(body) if len(body) <= LOOKED_AT else None
    if field is not None:
        return InvalidRequestError(
            f"{field}: holds half a surrogate pair, NaN or Infinity, which is not JSON", param=field
        )
    return InvalidRequestError(f"the body is not JSON: {_lower(str(error).removeprefix(MALFORMED))}")


def not_utf8(fields: Mapping[str, msgspec.Raw]) -> InvalidRequestError:
    """A value of the body is no UTF-8."""
    for name, raw in fields.items():
        try:
            bytes(raw).decode()
        except UnicodeDecodeError as error:
            return InvalidRequestError(f"{name}: not UTF-8: {error.reason}", param=name)
    return InvalidRequestError("the body is not UTF-8")


def wrong_value(name: str, error: Exception) -> InvalidRequestError:
    """A field is there and cannot be used; msgspec ends its sentence with the place inside the field."""
    if isinstance(error, RecursionError):
        return InvalidRequestError(f"{name}: {NESTED}", param=name)
    reason, _, place = str(error).partition(" - at `$")
    where = name + place.rstrip("`")
    return InvalidRequestError(f"{where}: {_lower(reason.replace('`', ''))}", param=where)


def _field_beyond_json(body: bytes) -> str | None:
    """The field that holds what Python's reader takes for JSON and ours does not; None when both refuse it."""
    try:
        read: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name, value in read.items() if isinstance(read, dict) else ():
        try:
            json.dumps({name: value}, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            return str(name.encode("ascii", "replace").decode())
    return None


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
