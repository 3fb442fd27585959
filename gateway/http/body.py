"""The few fields of a request that a decision needs; everything else stays the bytes that the client sent.

The top level of the body is read once into raw slices, so that what is forwarded has the client's own bytes in every
value, and a key that was sent twice reaches the upstream once: we and the upstream never read it differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.domain import Capability, Query
from gateway.errors import InvalidRequestError
from gateway.http.preferences import preferences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.domain import Preferences
    from gateway.http.surface import Surface

PASSED_ON = tuple((name.encode(), name) for name in ("accept", "traceparent", "tracestate", "openai-beta"))
IMAGE_PARTS = frozenset({"image_url", "input_image", "image"})
AUDIO_PARTS = frozenset({"input_audio", "audio"})
IMAGE_CHARACTERS = (
    3060  # 765 tokens: a 1024 x 1024 picture in high detail by OpenAI's tile formula, at 4 characters each
)


class Part(msgspec.Struct):
    """One part of a message's content."""

    type: str = "text"
    text: str | None = None


class Message(msgspec.Struct):
    """What a decision reads of a message."""

    role: str = ""
    content: str | list[Part | str] | None = None
    tool_call_id: str | None = None


class Format(msgspec.Struct):
    """`response_format`, or `text.format` of a response."""

    type: str = "text"


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


T = TypeVar("T")
Messages = str | list[Message | str | int | list[int]]
NO_NEEDS: frozenset[Capability] = frozenset()

FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
MODEL = msgspec.json.Decoder(str)
MESSAGES = msgspec.json.Decoder(Messages)
COUNT = msgspec.json.Decoder(int | None)
FLAG = msgspec.json.Decoder(bool | None)
FORMAT = msgspec.json.Decoder(Format | None)
OPTIONS = msgspec.json.Decoder(StreamOptions | None)
TOOLS = msgspec.json.Decoder(list[msgspec.Raw] | None)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    surface: Surface
    model: str
    fields: Mapping[str, msgspec.Raw]
    messages: bytes
    tools: bytes
    needs: frozenset[Capability]
    characters: int
    max_tokens: int | None
    stream: bool
    include_usage: bool
    in_tool_loop: bool
    preferences: Preferences
    headers: Mapping[str, str]  # those that go on to the upstream

    @property
    def path(self) -> str:
        return self.surface.path

    def query(self, query_id: str, arrived_at: float, patience_s: float) -> Query:
        """What is to be admitted. `patience_s` is how long the client will wait for a first byte."""
        wishes = self.preferences
        ends_at = inf if wishes.deadline_ms is None else arrived_at + wishes.deadline_ms / 1000
        return Query(
            id=query_id,
            target=self.model,
            messages=self.messages,
            tools=self.tools,
            needs=self.needs,
            characters=self.characters,
            max_tokens=self.max_tokens,
            arrived_at=arrived_at,
            deadline_at=min(ends_at, arrived_at + patience_s),
            ends_at=ends_at,
            preferences=wishes,
        )

    def body(self, serves: str) -> bytes:
        """The body for an upstream that knows the model as `serves`. Usage is always asked for."""
        fields = dict(self.fields)
        fields.pop("routing", None)
        fields["model"] = msgspec.Raw(msgspec.json.encode(serves))
        if self.stream and self.surface.usage_on_request:
            fields["stream_options"] = _with_usage(fields.get("stream_options"))
        return msgspec.json.encode(fields)


def read(body: bytes, headers: Mapping[bytes, bytes], surface: Surface) -> Call:
    """Reads a request body.

    Raises:
        InvalidRequestError: it is no JSON object, or a field that a decision needs is missing or of the wrong type.
    """
    fields = _fields(body)
    model = _decode(MODEL, fields, "model", "")
    if not model:
        raise InvalidRequestError("model: name a route (such as auto) or a model", param="model")
    text = surface.text_field
    if text not in fields:
        raise InvalidRequestError(f"{text}: missing; there is nothing to answer", param=text)
    messages = _decode(MESSAGES, fields, text, "")
    if not messages and surface.must_have_text:
        raise InvalidRequestError(f"{text}: empty; there is nothing to answer", param=text)
    tools = fields.get("tools")
    limit = max(_count(fields, name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    options = _decode(OPTIONS, fields, "stream_options", None)
    return Call(
        surface=surface,
        model=model,
        fields=fields,
        messages=bytes(fields[text]),
        tools=bytes(tools) if tools is not None and _decode(TOOLS, fields, "tools", None) else b"",
        needs=_needs(fields, messages),
        characters=_characters(messages) + (len(bytes(tools)) if tools is not None else 0),
        max_tokens=limit or None,
        stream=bool(_decode(FLAG, fields, "stream", None)) and surface.streams,
        include_usage=bool(options and options.include_usage),
        in_tool_loop=isinstance(messages, list) and any(isinstance(m, Message) and m.role == "tool" for m in messages),
        preferences=preferences(fields.get("routing"), headers),
        headers=_passed_on(headers),
    )


def _passed_on(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Never the caller's authorization."""
    passed = {name: headers[raw].decode("latin-1") for raw, name in PASSED_ON if raw in headers}
    passed["content-type"] = "application/json"
    return passed


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return FIELDS.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequestError("the body is no JSON object") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error


def _decode(decoder: msgspec.json.Decoder[T], fields: Mapping[str, msgspec.Raw], name: str, missing: T) -> T:
    raw = fields.get(name)
    if raw is None:
        return missing
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason, _, place = str(error).partition(" - at `$")
        where = name + place.rstrip("`")
        raise InvalidRequestError(f"{where}: {reason.replace('`', '')}", param=where) from error


def _count(fields: Mapping[str, msgspec.Raw], name: str) -> int:
    count = _decode(COUNT, fields, name, None)
    if count is not None and count < 0:
        raise InvalidRequestError(f"{name}: must not be negative", param=name)
    return count or 0


def _needs(fields: Mapping[str, msgspec.Raw], messages: Messages) -> frozenset[Capability]:
    kinds = {part.type for part in _parts(messages)}
    needs = set()
    if kinds & IMAGE_PARTS:
        needs.add(Capability.VISION)
    if kinds & AUDIO_PARTS:
        needs.add(Capability.AUDIO)
    if "tools" in fields and _decode(TOOLS, fields, "tools", None):
        needs.add(Capability.TOOLS)
    shape = _decode(FORMAT, fields, "response_format", None)
    if shape is not None and shape.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    return frozenset(needs) if needs else NO_NEEDS


def _parts(messages: Messages) -> Iterator[Part]:
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Message) and isinstance(message.content, list):
            yield from (part for part in message.content if isinstance(part, Part))


def _characters(messages: Messages) -> int:
    """Of all text; pictures count for what they cost."""
    if isinstance(messages, str):
        return len(messages)
    plain = sum(len(m.content) for m in messages if isinstance(m, Message) and isinstance(m.content, str))
    loose = sum(len(m) for m in messages if isinstance(m, str))
    parts = sum(len(p.text or "") + IMAGE_CHARACTERS * (p.type in IMAGE_PARTS) for p in _parts(messages))
    return plain + loose + parts


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    asked = msgspec.json.decode(options) if options is not None else None
    return msgspec.Raw(msgspec.json.encode({**(asked or {}), "include_usage": True}))
