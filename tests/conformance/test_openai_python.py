"""The OpenAI Python SDK, unchanged, pointed at the gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.upstream_app import (
    CUT,
    DONE,
    Upstream,
    completion,
    delta,
    event,
    failed,
    plain_stream,
    stream,
    usage_event,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types.chat import ChatCompletionMessageParam

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


class Sum(BaseModel):
    """What the parse helpers are to make of an answer."""

    total: int


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as opened:
        yield opened


async def test_a_whole_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="auto", messages=HELLO)
    assert answer.choices[0].message.content == "hello"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14


async def test_headers_are_in_reach(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    assert raw.headers["x-paretogate-model"] == "cheap"
    assert raw.request_id
    assert raw.parse().choices[0].message.content == "hello"


async def test_a_synchronous_client(url: str) -> None:
    def ask() -> str | None:
        with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            return client.chat.completions.create(model="auto", messages=HELLO).choices[0].message.content

    assert await asyncio.to_thread(ask) == "hello"


async def test_a_stream(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.then(plain_stream())
    chunks = [chunk async for chunk in await client.chat.completions.create(model="auto", messages=HELLO, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello you"
    assert all(chunk.usage is None for chunk in chunks)


async def test_a_stream_with_usage(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.then(plain_stream())
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 14


async def test_the_streaming_helper(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.then(plain_stream())
    async with client.chat.completions.stream(model="auto", messages=HELLO) as events:
        assert "content.delta" in [each.type async for each in events]
        final = await events.get_final_completion()
    assert final.choices[0].message.content == "hello you"


async def test_explain_does_not_disturb_the_client(client: AsyncOpenAI, upstream: Upstream) -> None:
    why = {"routing": {"explain": True}}
    answer = await client.chat.completions.create(model="auto", messages=HELLO, extra_body=why)
    assert (answer.model_extra or {})["routing"]["model"] == "cheap"
    upstream.then(plain_stream())
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="auto", messages=HELLO, stream=True, extra_body=why
        )
    ]
    assert (chunks[-1].model_extra or {})["routing"]["model"] == "cheap"


async def test_the_parse_helper(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.then(whole(completion('{"total": 3}')))
    parsed = await client.chat.completions.parse(model="auto", messages=HELLO, response_format=Sum)
    assert parsed.choices[0].message.parsed == Sum(total=3)
    assert upstream.asked[0].json["response_format"]["type"] == "json_schema"


async def test_tools(client: AsyncOpenAI, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    upstream.then(whole(completion(choices=[choice])))
    answer = await client.chat.completions.create(
        model="auto",
        messages=HELLO,
        tools=[{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
    )
    [call] = answer.choices[0].message.tool_calls or []
    assert call.id == "call_1"


async def test_tool_call_deltas(client: AsyncOpenAI, upstream: Upstream) -> None:
    deltas = [{"index": 0, **CALL}, {"index": 0, "function": {"arguments": ""}}]
    chunks = [event({"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]}) for each in deltas]
    upstream.then(stream(*chunks, delta(finish="tool_calls"), usage_event(), DONE))
    got = [
        chunk.choices[0].delta.tool_calls[0].id
        async for chunk in await client.chat.completions.create(model="auto", messages=HELLO, stream=True)
        if chunk.choices[0].delta.tool_calls
    ]
    assert got == ["call_1", None]


async def test_other_surfaces(client: AsyncOpenAI, upstream: Upstream) -> None:
    assert "auto" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("cheap")).id == "cheap"
    upstream.then(
        whole({"object": "list", "model": "up", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]})
    )
    embedded = await client.embeddings.create(model="cheap", input="hello", encoding_format="float")
    assert embedded.data[0].embedding == [0.5]
    upstream.then(whole({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "hi"}]}))
    assert (await client.completions.create(model="auto", prompt="hello")).choices[0].text == "hi"
    part = {"type": "output_text", "text": "hi", "annotations": []}
    output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}]
    upstream.then(whole({"id": "r", "object": "response", "status": "completed", "output": output}))
    assert (await client.responses.create(model="auto", input="hello")).output_text == "hi"
    assert [asked.path for asked in upstream.asked] == ["/v1/embeddings", "/v1/completions", "/v1/responses"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (500, openai.InternalServerError),
        (401, openai.InternalServerError),  # of ours, not of the client's key
    ],
)
async def test_an_upstreams_error_raises_its_class(
    client: AsyncOpenAI, upstream: Upstream, status: int, kind: type[openai.APIStatusError]
) -> None:
    upstream.then(failed(status))
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(model="auto", messages=HELLO)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.request_id


async def test_our_errors_raise_their_class(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="nobody", messages=HELLO)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="auto", messages=[])


async def test_a_cut_stream_raises(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.then(stream(delta("one"), CUT))
    with pytest.raises(openai.APIError):
        async for _ in await client.chat.completions.create(model="auto", messages=HELLO, stream=True):
            pass


async def test_the_client_does_not_multiply_our_retries(url: str, upstream: Upstream) -> None:
    upstream.then(failed(422))
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=2) as client:
        with pytest.raises(openai.UnprocessableEntityError):
            await client.chat.completions.create(model="auto", messages=HELLO)
    assert len(upstream.asked) == 1
