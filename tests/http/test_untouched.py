"""All that OpenAI's API has, and what it has not, goes through as it was sent: requests and answers, on every path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.gateway_server import gateway, settings
from tests.http.asking import HELLO, ask
from tests.upstream_app import DONE, Upstream, delta, event, stream, usage_event, whole

PARTS = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "file", "file": {"file_id": "f1"}},
    {"type": "of_tomorrow", "x": [1.50, 1e2]},
]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": PARTS, "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm", "refusal": None},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "42"}]},
        {"role": "user", "content": "grüße 😀"},
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": SCHEMA,
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "seed": 12345678901234567890,
    "temperature": 0.10,
    "logit_bias": {"50256": -100},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "service_tier": "flex",
    "reasoning_effort": "low",
    "verbosity": "low",
    "prediction": {"type": "content", "content": "x"},
    "metadata": {"a": "b"},
    "store": False,
    "user": "u",
    "stop": None,
    "max_completion_tokens": 50,
    "guided_json": {"type": "object"},
    "vendor": {"top_k": 5, "deep": [[{}]]},
}
LOGPROBS = {"content": [{"token": "a", "logprob": -0.10, "bytes": [97], "top_logprobs": []}], "refusal": None}
SAID = {"role": "assistant", "content": None, "refusal": "no", "reasoning": "r", "reasoning_content": "c", "x": 1}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "model": "up",
    "service_tier": "flex",
    "system_fingerprint": "fp",
    "choices": [
        {"index": 0, "message": {**SAID, "tool_calls": [CALL]}, "logprobs": LOGPROBS, "finish_reason": "tool_calls"},
        {"index": 1, "message": SAID, "logprobs": None, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0.1, "prompt_tokens_details": {}},
    "vendor": {"timing": 1.0},
}
SURFACES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT, ANSWER),
    ("/chat/completions", CHAT, ANSWER),
    (
        "/v1/completions",
        {"prompt": ["a", "b"], "suffix": "x", "echo": True, "logprobs": 5, "best_of": 2, "max_tokens": 5, "vendor": {}},
        {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "hi", "logprobs": {"x": 1}}]},
    ),
    (
        "/v1/embeddings",
        {"input": [[1, 2], [3]], "dimensions": 2, "encoding_format": "base64", "input_type": "query"},
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}], "model": "up"},
    ),
    (
        "/v1/responses",
        {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "text": {"format": {"type": "json_schema", "name": "s", "schema": {}}},
            "reasoning": {"effort": "low"},
            "include": ["reasoning.encrypted_content"],
            "background": False,
        },
        {"id": "r", "object": "response", "status": "completed", "output": [{"type": "reasoning", "summary": []}]},
    ),
]


def loose(value: object) -> bytes:
    """With white space that nobody else would write."""
    return json.dumps(value, separators=(" ,  ", " :\t"), ensure_ascii=False).encode()


@pytest.mark.parametrize("surface", SURFACES, ids=[each[0] for each in SURFACES])
async def test_whole(
    session: ClientSession, url: str, cheap: Upstream, surface: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    path, request_, answer = surface
    cheap.then(whole(loose(answer), x_vendor="kept"))
    got = await ask(session, url, loose({**request_, "model": "cheap", "routing": {"tags": {"a": "b"}}}), path=path)
    assert (got.status, got.body, got.headers["x-vendor"]) == (200, loose(answer), "kept")
    [asked] = cheap.asked
    assert asked.path == "/v1" + path.removeprefix("/v1")
    assert asked.json == {**request_, "model": "cheap"}
    for name, value in request_.items():  # the very bytes of every value
        assert loose(value) in asked.body, name


async def test_streamed(session: ClientSession, url: str, cheap: Upstream) -> None:
    def chunk(**said: object) -> bytes:
        choice = {"index": 1, "delta": said, "logprobs": LOGPROBS}
        return event({"id": "c1", "choices": [choice], "service_tier": "flex"})

    parts = [
        b": a comment\n\n",
        chunk(role="assistant", content="", refusal=None),
        chunk(reasoning_content="hm", reasoning_details=[{"type": "x"}]),
        chunk(tool_calls=[{"index": 0, **CALL}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": " 1}"}}]),
        chunk(audio={"id": "a", "data": "AAAA", "transcript": "x"}),
        chunk(refusal="no"),
        b'event: vendor\nid: 7\ndata: {"x":\ndata: 1}\n\n',
        delta(finish="tool_calls"),
        usage_event(),
        DONE,
    ]
    cheap.then(stream(*parts))
    asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}
    got = await ask(session, url, {**asked, "model": "cheap"})
    assert got.body == b"".join(parts)
    assert cheap.asked[0].json == {**asked, "model": "cheap"}


async def test_a_model_with_slashes_in_its_name(cheap: Upstream) -> None:
    name = "org/model:7b/chat"
    async with cheap.serving() as upstream, gateway(settings({name: upstream})) as url, ClientSession() as session:
        got = await ask(session, url, {"model": name, "messages": HELLO})
        assert (got.status, got.headers["x-paretogate-model"], cheap.asked[0].json["model"]) == (200, name, name)
        for path in ("/v1/models/", "/models/"):
            async with session.get(url + path + name) as answer:
                assert (await answer.json())["id"] == name
