"""What a decision reads of a conversation: its length, what it needs of a model, and whether a tool was just used.

Every field that is not named here passes unread, and so does every kind of part that is not known.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain import Capability

IMAGE_PARTS: Final = frozenset({"image_url", "input_image", "image"})
AUDIO_PARTS: Final = frozenset({"input_audio", "audio"})
NEEDED: Final = dict.fromkeys(IMAGE_PARTS, Capability.VISION) | dict.fromkeys(AUDIO_PARTS, Capability.AUDIO)
IMAGE_LENGTH: Final = (
    3060  # 765 tokens: a 1024 x 1024 picture in high detail by OpenAI's tile formula, at 4 characters each
)
NUMBER_LENGTH: Final = 4  # a prompt may be given as token numbers: each counts as a token of ordinary text
MODEL_SPOKE: Final = "assistant"


class Part(msgspec.Struct):
    """One part of a message's content."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None


class Message(msgspec.Struct):
    """A chat message, or an input item of a response."""

    type: str = "message"
    role: str = ""
    content: str | list[Part | str] | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()  # empty: not there
    tool_call_id: str | None = None  # in chats
    call_id: str | None = None  # in responses

    @property
    def by_the_model(self) -> bool:
        """Whether a model said it: its words, its thoughts, or its call of a tool."""
        return self.role == MODEL_SPOKE or (not self.role and not self.type.endswith("_output"))


Messages = str | list[Message | str | int | list[int]]
CHAT: Final = msgspec.json.Decoder(list[Message])
ANY_TEXT: Final = msgspec.json.Decoder(Messages | None)


def length(messages: Messages | list[Message] | None) -> int:
    """Of all text, in characters of the size of ASCII ones; pictures and token numbers count for what they cost."""
    if isinstance(messages, str):
        return text_length(messages)
    return sum([_length_of(each) for each in messages or ()])


def _length_of(item: Message | str | int | list[int]) -> int:
    if isinstance(item, Message):
        content = item.content
        said = text_length(content) if isinstance(content, str) else sum(map(_part_length, content or ()))
        return said + len(item.tool_calls)
    if isinstance(item, str):
        return text_length(item)
    return NUMBER_LENGTH * (len(item) if isinstance(item, list) else 1)


def _part_length(part: Part | str) -> int:
    if isinstance(part, str):
        return text_length(part)
    return text_length(part.text or part.refusal or "") + IMAGE_LENGTH * (part.type in IMAGE_PARTS)


def text_length(text: str) -> int:
    """A tokenizer works on bytes: a character outside ASCII costs about as many tokens as its bytes do in English."""
    return len(text) if text.isascii() else len(text.encode())


def seen_and_heard(messages: Messages | list[Message] | None) -> set[Capability]:
    """What the parts of the conversation need."""
    if not isinstance(messages, list):
        return set()
    needed: set[Capability] = set()
    for message in messages:
        if isinstance(message, Message) and isinstance(message.content, list):
            kinds = {part.type for part in message.content if isinstance(part, Part)}
            needed |= {NEEDED[kind] for kind in kinds & NEEDED.keys()}
    return needed


def answered_calls(messages: Messages | list[Message] | None) -> tuple[str, ...]:
    """The tool calls whose results have come since the model last spoke; empty outside a tool loop."""
    calls = []
    for item in reversed(messages if isinstance(messages, list) else ()):
        if not isinstance(item, Message) or item.by_the_model:
            break
        if (call := item.tool_call_id or item.call_id) is not None:
            calls.append(call)
    return tuple(reversed(calls))
