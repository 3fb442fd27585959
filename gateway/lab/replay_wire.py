"""Answers as the bytes of the OpenAI API: whole, and as server-sent events. No sockets here."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.lab.replay_answers import Answer

CREATED = 1_760_000_000  # one fixed second for all answers: two runs are equal byte for byte
EVENTS = 20  # content events of a long answer; an event per token would make the upstream the bottleneck
DIMENSIONS = 8  # of an embedding: enough to tell two texts apart
DONE = b"data: [DONE]\n\n"

encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Events:
    """A streamed answer: what comes before the text, the text, and all that comes after its last word."""

    opening: bytes
    content: list[bytes]
    closing: bytes


class Shape(Protocol):
    """One path of the API: how its answers look."""

    def whole(self, model: str, answer: Answer) -> bytes:
        """The body of an answer that is not streamed."""

    def events(self, model: str, answer: Answer, *, usage: bool) -> Events:
        """The same answer as a stream; `usage` says that the client asked for it."""


class Chat:
    """`/v1/chat/completions`."""

    def whole(self, model: str, answer: Answer) -> bytes:
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        head = {"id": f"chatcmpl-{answer.id}", "object": "chat.completion", "created": CREATED, "model": model}
        return encode({**head, "choices": [choice], "usage": usage_of(answer)})

    def events(self, model: str, answer: Answer, *, usage: bool) -> Events:
        head = {"id": f"chatcmpl-{answer.id}", "object": "chat.completion.chunk", "created": CREATED, "model": model}
        silent: dict[str, Any] = {"usage": None} if usage else {}

        def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return event({**head, "choices": [choice], **silent})

        # The frame around the text is the same in every chunk; only the text is encoded anew.
        before, after = chunk({"content": "\0"}).split(rb'"\u0000"')
        last = event({**head, "choices": [], "usage": usage_of(answer)}) if usage else b""
        return Events(
            opening=chunk({"role": "assistant", "content": ""}),
            content=[before + encode(piece) + after for piece in pieces(answer)],
            closing=chunk({}, answer.finish) + last + DONE,
        )


class Completion:
    """`/v1/completions`."""

    def whole(self, model: str, answer: Answer) -> bytes:
        return encode({**self._chunk(model, answer, answer.text, answer.finish), "usage": usage_of(answer)})

    def events(self, model: str, answer: Answer, *, usage: bool) -> Events:
        silent: dict[str, Any] = {"usage": None} if usage else {}
        last = {**self._chunk(model, answer, ""), "choices": [], "usage": usage_of(answer)}
        return Events(
            opening=b"",
            content=[event({**self._chunk(model, answer, piece), **silent}) for piece in pieces(answer)],
            closing=event({**self._chunk(model, answer, "", answer.finish), **silent})
            + (event(last) if usage else b"")
            + DONE,
        )

    @staticmethod
    def _chunk(model: str, answer: Answer, text: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        head = {"id": f"cmpl-{answer.id}", "object": "text_completion", "created": CREATED, "model": model}
        return {**head, "choices": [choice]}


class Responses:
    """`/v1/responses`: the events that carry text, with their names and numbers."""

    def whole(self, model: str, answer: Answer) -> bytes:
        return encode(self._response(model, answer, "completed"))

    def events(self, model: str, answer: Answer, *, usage: bool) -> Events:  # noqa: ARG002 - always told here
        numbers = count()

        def told(kind: str, **rest: object) -> bytes:
            value = {"type": f"response.{kind}", "sequence_number": next(numbers), **rest}
            return b"event: response." + kind.encode() + b"\n" + event(value)

        place = {"item_id": f"msg_{answer.id}", "output_index": 0, "content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        started, ended = (self._response(model, answer, status) for status in ("in_progress", "completed"))
        item = {**ended["output"][0], "status": "in_progress", "content": []}
        return Events(
            opening=told("created", response=started)
            + told("output_item.added", output_index=0, item=item)
            + told("content_part.added", part=empty, **place),
            content=[told("output_text.delta", delta=piece, logprobs=[], **place) for piece in pieces(answer)],
            closing=told("output_text.done", text=answer.text, logprobs=[], **place)
            + told("output_item.done", output_index=0, item=ended["output"][0])
            + told("completed", response=ended),
        )

    @staticmethod
    def _response(model: str, answer: Answer, status: str) -> dict[str, Any]:
        done = status == "completed"
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        item = {"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "status": status, "content": [part]}
        usage = {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        }
        return {
            "id": f"resp_{answer.id}",
            "object": "response",
            "created_at": CREATED,
            "model": model,
            "status": status,
            "output": [item] if done else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage if done else None,
        }


def event(value: object) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def pieces(answer: Answer) -> Iterator[str]:
    """The text in at most EVENTS parts of nearly equal length."""
    parts = max(1, min(EVENTS, answer.output_tokens))
    length = len(answer.text)
    for part in range(parts):
        yield answer.text[length * part // parts : length * (part + 1) // parts]


def usage_of(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def embeddings(model: str, texts: object, input_tokens: int) -> bytes:
    """`/v1/embeddings`: one small vector for each text, equal for equal texts."""
    vectors = [
        {"object": "embedding", "index": index, "embedding": _vector(text)}
        for index, text in enumerate(texts if isinstance(texts, list) else [texts])
    ]
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return encode({"object": "list", "data": vectors, "model": model, "usage": usage})


def _vector(text: object) -> list[float]:
    seed = encode(text)
    return [zlib.crc32(seed, salt) / 2**31 - 1.0 for salt in range(DIMENSIONS)]


def model_list(models: tuple[str, ...]) -> bytes:
    """`/v1/models`."""
    listed = [{"id": model, "object": "model", "created": CREATED, "owned_by": "replay"} for model in models]
    return encode({"object": "list", "data": listed})


def error_body(message: str, kind: str, code: str | None = None) -> bytes:
    """An error in OpenAI's shape."""
    return encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
