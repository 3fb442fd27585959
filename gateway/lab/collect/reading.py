"""What a chat completion says, as one text."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import UpstreamError


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Called(msgspec.Struct):
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_Called] | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Completion(msgspec.Struct):
    choices: list[_Choice]


COMPLETION: Final = msgspec.json.Decoder(_Completion)


def answer_text(body: bytes, endpoint: str) -> str:
    """What a completion says: its content or its refusal, then each tool call as `name(arguments)` on a line.

    Raises:
        UpstreamError: it is no completion.
    """
    try:
        said = COMPLETION.decode(body).choices[0].message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError) as error:
        raise UpstreamError(f"{endpoint} answered with no chat completion", endpoint=endpoint) from error
    content = said.content
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content)
    calls = [call.function for call in said.tool_calls or () if call.function]
    lines = [content or said.refusal or "", *(f"{each.name}({each.arguments})" for each in calls)]
    return "\n".join(line for line in lines if line)
