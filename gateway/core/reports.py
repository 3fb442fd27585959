"""What is read of an answer or of one event of it: usage, errors, and what a later query may go on from.

Nothing here fails because an upstream spells something oddly: what cannot be read was not told.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

from gateway.domain import Usage

FALSE: Final = (b"", b"null", b"{}", b'""', b"false", b"0", b"[]")  # of an error: what a client takes for none
MOST: Final = 2**53  # tokens: no upstream means more

T = TypeVar("T")
Tokens = Annotated[int, msgspec.Meta(le=MOST)]


class Details(msgspec.Struct):
    cached_tokens: Tokens | None = None


class Told(msgspec.Struct):
    """Usage as the chat, completion and response surfaces spell it."""

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    prompt_tokens_details: Details | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    input_tokens_details: Details | None = None

    def usage(self) -> Usage | None:
        """Zero is a number, not a missing one; cached tokens never exceed the input."""
        inputs = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        outputs = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if inputs is None and outputs is None:
            return None
        details = self.prompt_tokens_details or self.input_tokens_details
        cached = (details.cached_tokens or 0) if details else 0
        given = max(0, inputs or 0)
        return Usage(given, max(0, outputs or 0), min(max(0, cached), given))


class ToolCall(msgspec.Struct):
    id: str | None = None


class Said(msgspec.Struct):
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    message: Said | None = None
    delta: Said | None = None


class Item(msgspec.Struct):
    """An output of a response."""

    call_id: str | None = None


class Answer(msgspec.Struct):
    """The top level of an answer, of an event, or of the response inside one."""

    id: msgspec.Raw = msgspec.Raw()  # empty: not there
    type: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()


class Report(msgspec.Struct):
    """What an answer has told so far."""

    usage: Usage | None = None
    failed: bool = False
    only_usage: bool = False  # an event that carries nothing else
    continuations: list[str] = []  # ids that a later query may go on from

    def add(self, other: Report) -> None:
        """What a later event told."""
        self.usage = other.usage or self.usage
        self.failed = self.failed or other.failed
        self.continuations += other.continuations


ANSWER: Final = msgspec.json.Decoder(Answer)
TOLD: Final = msgspec.json.Decoder(Told | None, strict=False)
CHOICES: Final = msgspec.json.Decoder(list[Choice])
ITEMS: Final = msgspec.json.Decoder(list[Item])
ITEM: Final = msgspec.json.Decoder(Item)
WORD: Final = msgspec.json.Decoder(str)


def read_report(data: bytes) -> Report:
    """What a whole answer, or the data of one event, tells.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    answer = ANSWER.decode(data)
    inner = _lenient(ANSWER, answer.response)
    told = _lenient(TOLD, answer.usage) or (_lenient(TOLD, inner.usage) if inner else None)
    usage = told.usage() if told else None
    return Report(
        usage=usage,
        # the response surface has error events that say so by their type
        failed=bytes(answer.error) not in FALSE or bytes(answer.type) == b'"error"',
        only_usage=usage is not None and bytes(answer.choices) == b"[]",
        continuations=_continuations(answer) + (_continuations(inner) if inner else []),
    )


def _continuations(answer: Answer) -> list[str]:
    """Ids of tool calls, and of a response that is kept at the upstream."""
    found = _calls_of_choices(answer.choices) if b'"tool_calls"' in bytes(answer.choices) else []
    if answer.output or answer.item:
        items = [*(_lenient(ITEMS, answer.output) or ()), _lenient(ITEM, answer.item)]
        found += [item.call_id for item in items if item]
    if answer.output:
        found.append(_lenient(WORD, answer.id))
    return [each for each in found if each]


def _calls_of_choices(choices: msgspec.Raw) -> list[str | None]:
    """Ids of the tool calls in a chat's choices, whole or in part."""
    said = [choice.message or choice.delta for choice in _lenient(CHOICES, choices) or ()]
    return [call.id for each in said if each for call in each.tool_calls or ()]


def _lenient(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T | None:
    if not raw:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
