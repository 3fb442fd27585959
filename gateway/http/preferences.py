"""What one request asks for itself: the `routing` object of the body, and the same as `x-paretogate-*` headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from gateway.domain import Preferences
from gateway.errors import InvalidRequestError
from gateway.http import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = b"x-paretogate-"
NONE = Preferences()
UNKNOWN = "Object contains unknown field"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Level = Annotated[float, msgspec.Meta(ge=0, le=10)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Word = Annotated[str, msgspec.Meta(max_length=256)]


class Routing(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The extension, field by field."""

    min_quality: Share | None = None
    tradeoff: Level | None = None
    max_cost_usd: Amount | None = None
    models: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    session: Word | None = None
    deadline_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    priority: Annotated[int, msgspec.Meta(ge=-10, le=10)] = 0
    explain: bool = False
    tags: Annotated[dict[Word, Word], msgspec.Meta(max_length=16)] = {}


DECODER = msgspec.json.Decoder(Routing | None)


def preferences(raw: msgspec.Raw | None, headers: Mapping[bytes, bytes]) -> Preferences:
    """The request's wishes; a header wins over the body.

    Raises:
        InvalidRequestError: a field is unknown, of the wrong type or out of range; `param` names it.
    """
    sent = {name: value for name, value in headers.items() if name.startswith(PREFIX)}
    if raw is None and not sent:
        return NONE
    try:
        routing = (DECODER.decode(raw) if raw is not None else None) or Routing()
        if sent:
            routing = msgspec.convert({**msgspec.to_builtins(routing), **_from_headers(sent)}, Routing, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _named(error) from error
    return Preferences(**{name: getattr(routing, name) for name in Routing.__struct_fields__})


def _from_headers(sent: Mapping[bytes, bytes]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in sent.items():
        field, text = name.removeprefix(PREFIX).decode("latin-1").replace("-", "_"), value.decode("latin-1").strip()
        if field == "models":
            fields[field] = [part.strip() for part in text.split(",") if part.strip()]
        elif field == "tags":
            fields[field] = dict(part.strip().partition("=")[::2] for part in text.split(",") if part.strip())
        else:
            fields[field] = text
    return fields


def _named(error: Exception) -> InvalidRequestError:
    """The client reads the place as `routing.<field>`, in whichever way it was sent."""
    reason = str(error)
    if not reason.startswith(UNKNOWN):
        return unreadable.wrong_value("routing", error)
    field = f"routing.{reason.split('`')[1]}"
    return InvalidRequestError(f"{field}: unknown field; there are {', '.join(Routing.__struct_fields__)}", param=field)
