"""From an OpenAI conversation to the text that is scored: the whole conversation, not only its last message.

Training and serving render through here alone, so that a prompt is scored as it was learned.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from predictors.base import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 16_000  # characters that are scored; head and tail are kept, for the question stands at either end
CUT = "\n[…]\n"  # says that the middle was left out


def render(messages: object, tools: object = None) -> Prompt:
    """The scored prompt of a conversation. Never raises: what is not text counts as none.

    Args:
        messages: a string, or OpenAI messages whose content is a string, a list of parts or null.
        tools: OpenAI tools, or None.
    """
    text = "\n".join(part for part in _texts(messages) if part)
    return Prompt(text=shorten(text), tools=json.dumps(tools, ensure_ascii=False, sort_keys=True) if tools else "")


def shorten(text: str) -> str:
    """At most LIMIT characters, head and tail kept."""
    if len(text) <= LIMIT:
        return text
    half = (LIMIT - len(CUT)) // 2
    return text[:half] + CUT + text[-half:]


def _texts(messages: object) -> Iterator[str]:
    if isinstance(messages, str):
        yield messages
        return
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            yield from _content(message.get("content"))


def _content(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]
