"""LangChain's ChatOpenAI, unchanged, pointed at the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.upstream_app import DONE, Upstream, completion, delta, event, plain_stream, stream, usage_event, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NONE = SecretStr("none")
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
CALLED = {
    "index": 0,
    "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    "finish_reason": "tool_calls",
}


class Sum(BaseModel):
    """The total."""

    total: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent anywhere else."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture
async def settings() -> AsyncIterator[dict[str, Any]]:
    """A client of the test's own: LangChain's is kept for the life of the process."""
    async with httpx.AsyncClient() as client:
        yield {"api_key": NONE, "max_retries": 0, "http_async_client": client}


@pytest.fixture
def model(url: str, settings: dict[str, Any]) -> ChatOpenAI:
    return ChatOpenAI(model="auto", base_url=url, stream_usage=True, **settings)


async def test_an_answer(model: ChatOpenAI, upstream: Upstream) -> None:
    answer = await model.bind(extra_body={"routing": {"min_quality": 0.1}}).ainvoke("hello")
    assert answer.text == "hello"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == 14
    assert "routing" not in upstream.asked[0].json


async def test_a_stream(model: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(plain_stream())
    chunks = [chunk async for chunk in model.astream("hello")]
    assert "".join(chunk.text for chunk in chunks) == "hello you"
    assert [chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata] == [14]


async def test_tools_and_their_results(model: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(whole(completion(choices=[CALLED])), whole(completion("3")))
    bound = model.bind_tools([add])
    called = await bound.ainvoke("What is 1 + 2?")
    assert isinstance(called, AIMessage)
    [call] = called.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 1, "b": 2})
    result = ToolMessage(str(add.invoke(call["args"])), tool_call_id=call["id"])
    assert (await bound.ainvoke([HumanMessage("What is 1 + 2?"), called, result])).text == "3"
    assert upstream.asked[0].json["tools"][0]["function"]["name"] == "add"
    assert upstream.asked[1].json["messages"][-1] == {"role": "tool", "tool_call_id": "call_1", "content": "3"}


async def test_a_streamed_tool_call(model: ChatOpenAI, upstream: Upstream) -> None:
    def parts() -> Iterator[bytes]:
        head, tail = (
            {**CALL, "function": {"name": "add", "arguments": ""}},
            {"function": {"arguments": '{"a": 1, "b": 2}'}},
        )
        for part in (head, tail):
            yield event({"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **part}]}}]})

    upstream.then(stream(*parts(), delta(finish="tool_calls"), usage_event(), DONE))
    chunks = [chunk async for chunk in model.bind_tools([add]).astream("What is 1 + 2?")]
    total = add_ai_message_chunks(*(chunk for chunk in chunks if isinstance(chunk, AIMessageChunk)))
    assert [(call["name"], call["args"]) for call in total.tool_calls] == [("add", {"a": 1, "b": 2})]


async def test_structured_output(model: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(whole(completion('{"total": 3}')))
    assert await model.with_structured_output(Sum).ainvoke("What is 1 + 2?") == Sum(total=3)
    assert upstream.asked[0].json["response_format"]["type"] == "json_schema"


async def test_the_responses_api(url: str, upstream: Upstream, settings: dict[str, Any]) -> None:
    part = {"type": "output_text", "text": "hi", "annotations": []}
    output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}]
    upstream.then(
        whole(
            {
                "id": "r",
                "object": "response",
                "created_at": 1,
                "model": "up",
                "status": "completed",
                "output": output,
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
            }
        )
    )
    model = ChatOpenAI(model="auto", base_url=url, use_responses_api=True, **settings)
    assert (await model.ainvoke("hello")).text == "hi"
    assert upstream.asked[0].path == "/v1/responses"


async def test_embeddings(url: str, upstream: Upstream, settings: dict[str, Any]) -> None:
    upstream.then(
        whole({"object": "list", "model": "up", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]})
    )
    model = OpenAIEmbeddings(model="cheap", openai_api_base=url, check_embedding_ctx_length=False, **settings)
    assert await model.aembed_query("hello") == [0.5]
