"""The few fields of a request that a decision needs; everything else stays the bytes that the client sent.

The top level of the body is read once into raw slices, so that what is forwarded has the client's own bytes in every
value, and a key that was sent twice reaches the upstream once: we and the upstream never read it differently.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec

from gateway.domain import ANYONE, Capability, Query
from gateway.errors import InvalidRequestError
from gateway.http import unreadable
from gateway.http.messages import ANY_TEXT, CHAT, answered_calls, length, seen_and_heard
from gateway.http.preferences import preferences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import Key, Preferences
    from gateway.http.messages import Message, Messages
    from gateway.http.surface import Surface

PASSED_ON: Final = tuple((name.encode(), name) for name in ("accept", "traceparent", "tracestate", "openai-beta"))
MOST: Final = 2**31 - 1  # of a count: what providers take
UNUSABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NO_NEEDS: Final[frozenset[Capability]] = frozenset()


class Format(msgspec.Struct):
    """What kind of answer is asked for."""

    type: str = "text"


class Shape(Format):
    """`response_format` of a chat, or `text` of a response, which has it one level down."""

    format: Format | None = None


T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]

FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
WORD: Final = msgspec.json.Decoder(str | None)
WORDS: Final = msgspec.json.Decoder(list[str] | None)
COUNT: Final = msgspec.json.Decoder(Count | None)
NUMBER: Final = msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=0, le=MOST)])
FLAG: Final = msgspec.json.Decoder(bool | None)
SHAPE: Final = msgspec.json.Decoder(Shape | None)
OPTIONS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
LIST: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
USAGE_ASKED: Final = msgspec.Raw(b"true")


class Call(msgspec.Struct, frozen=True):
    """One request, read."""

    surface: Surface
    model: str
    fields: Mapping[str, msgspec.Raw]
    tools: msgspec.Raw  # empty: none
    needs: frozenset[Capability]
    characters: int
    max_tokens: int | None
    choices: int
    stream: bool
    options: Mapping[str, msgspec.Raw]  # of the stream
    include_usage: bool
    continues: tuple[str, ...]  # the tool calls that it answers, and the response that it goes on from
    preferences: Preferences
    headers: dict[str, str]  # those that go on to the upstream

    @property
    def path(self) -> str:
        return self.surface.path

    def query(self, query_id: str, arrived_at: float, patience_s: float, key: Key = ANYONE, turn: str = "") -> Query:
        """What is to be admitted. `patience_s` is how long the client will wait for a first byte.

        `turn` names the caller in whose turn it waits where there are no keys.
        """
        wishes = self.preferences
        if wishes.priority > key.priority:
            wishes = replace(wishes, priority=key.priority)
        ends_at = inf if wishes.deadline_ms is None else arrived_at + wishes.deadline_ms / 1000
        patient_until = min(ends_at, arrived_at + patience_s)
        return Query(
            id=query_id,
            target=self.model,
            key=key.name or turn,
            messages=bytes(self.fields.get(self.surface.text_field, b'""')),
            tools=bytes(self.tools),
            needs=self.needs,
            characters=self.characters,
            max_tokens=self.max_tokens,
            choices=self.choices,
            continues=self.continues,
            arrived_at=arrived_at,
            deadline_at=patient_until,
            patient_until=patient_until,
            ends_at=ends_at,
            preferences=wishes,
        )

    def body(self, serves: str) -> bytes:
        """The body for an upstream that knows the model as `serves`. A stream is always asked for its usage."""
        fields = dict(self.fields)
        fields.pop("routing", None)
        fields["model"] = msgspec.Raw(msgspec.json.encode(serves))
        if self.stream and self.surface.usage_on_request:
            fields["stream_options"] = msgspec.Raw(msgspec.json.encode({**self.options, "include_usage": USAGE_ASKED}))
        return msgspec.json.encode(fields)


def read(body: bytes, headers: Mapping[bytes, bytes], surface: Surface) -> Call:
    """Reads a request body.

    Raises:
        InvalidRequestError: it is no JSON object, or a field that a decision needs is missing or of the wrong type.
    """
    fields = _fields(body)
    model = _decode(WORD, fields, "model")
    if not model:
        raise InvalidRequestError("model: name a route (such as auto) or a model", param="model")
    messages = _messages(fields, surface)
    options = _decode(OPTIONS, fields, "stream_options") or {}
    tools = fields["tools"] if _decode(LIST, fields, "tools") else msgspec.Raw()
    previous = _decode(WORD, fields, "previous_response_id")
    return Call(
        surface=surface,
        model=model,
        fields=fields,
        tools=tools,
        needs=_needs(fields, messages, surface),
        characters=length(messages) + len(tools),
        max_tokens=_most(fields, "max_completion_tokens", "max_tokens", "max_output_tokens") or None,
        choices=_most(fields, "n", "best_of") or 1,
        stream=bool(_decode(FLAG, fields, "stream")) and surface.streams,
        options=options,
        include_usage=bool(_decode(FLAG, options, "include_usage", "stream_options.")),
        continues=answered_calls(messages) + ((previous,) if previous else ()),
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
        fields = FIELDS.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequestError("the body is no JSON object") from error
    except UNUSABLE as error:
        raise unreadable.not_json(body, error) from error
    try:
        if not body.isascii():
            body.decode()  # raw slices are not looked into
    except UnicodeDecodeError as error:
        raise unreadable.not_utf8(fields) from error
    return fields


def _decode(
    decoder: msgspec.json.Decoder[T], fields: Mapping[str, msgspec.Raw], name: str, inside: str = ""
) -> T | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except UNUSABLE as error:
        raise unreadable.wrong_value(inside + name, error) from error


def _messages(fields: Mapping[str, msgspec.Raw], surface: Surface) -> list[Message] | Messages | None:
    name = surface.text_field
    messages: list[Message] | Messages | None
    messages = _decode(CHAT, fields, name) if surface.chat else _decode(ANY_TEXT, fields, name)
    if not messages and surface.must_have_text:
        state = "empty" if name in fields else "missing"
        raise InvalidRequestError(f"{name}: {state}; there is nothing to answer", param=name)
    return messages


def _most(fields: Mapping[str, msgspec.Raw], *names: str) -> int:
    most = 0
    for name in names:
        if name in fields:
            most = max(most, _count(fields, name))
    return most


def _count(fields: Mapping[str, msgspec.Raw], name: str) -> int:
    """A whole number, also when it is written as 2.0: to JSON Schema that is an integer."""
    try:
        return _decode(COUNT, fields, name) or 0
    except InvalidRequestError:
        with suppress(*UNUSABLE):
            number = NUMBER.decode(fields[name])
            if number.is_integer():
                return int(number)
        raise


def _needs(
    fields: Mapping[str, msgspec.Raw], messages: list[Message] | Messages | None, surface: Surface
) -> frozenset[Capability]:
    needs = seen_and_heard(messages)
    if _decode(LIST, fields, "tools") or _decode(LIST, fields, "functions"):
        needs.add(Capability.TOOLS)
    if "audio" in (_decode(WORDS, fields, "modalities") or ()):
        needs.add(Capability.AUDIO)
    shape: Format | None = _decode(SHAPE, fields, surface.shape_field)
    shape = getattr(shape, "format", None) or shape
    if shape is not None and shape.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    return frozenset(needs) if needs else NO_NEEDS
