"""The inference paths of the OpenAI API, and what differs between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surface:
    """One path that is forwarded to an upstream."""

    path: str  # after /v1, here and at the upstream
    text_field: str  # where the text stands that is scored
    chunk: str  # what an event of its stream calls itself; empty: each event says what it is
    chat: bool = False  # the text is a list of messages and nothing else
    shape_field: str = "response_format"  # where the shape of the answer is asked for
    routes: bool = True  # whether a route's name may stand for a model
    streams: bool = True
    usage_on_request: bool = False  # `stream_options.include_usage` is understood
    done_marker: bool = True  # a whole stream ends with `data: [DONE]`
    must_have_text: bool = True


CHAT = Surface("/chat/completions", "messages", "chat.completion.chunk", chat=True, usage_on_request=True)
COMPLETIONS = Surface("/completions", "prompt", "text_completion", usage_on_request=True, must_have_text=False)
EMBEDDINGS = Surface("/embeddings", "input", "", routes=False, streams=False)
RESPONSES = Surface("/responses", "input", "", shape_field="text", done_marker=False, must_have_text=False)

SURFACES = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)
