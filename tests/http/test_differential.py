"""The stream through the gateway beside the direct one: the same bytes, apart from what is declared to change."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.gateway_server import gateway
from tests.gateway_server import settings as configured
from tests.http.asking import chat
from tests.upstream_app import DONE, Play, Upstream, completion, framed, head, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")
TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "data: [DONE]",
        "\n\ndata: ",
        '"usage":null',
        ',"usage":null',
        '{"error":1}',
        "\r\n\r\n",
        "😀",
        "ﷺ\u2028",
        "\x00",
    ]
)
MORE = st.dictionaries(
    st.sampled_from(["logprobs", "reasoning_content", "obfuscation", "service_tier", "system_fingerprint", "x_vendor"]),
    st.none()
    | TEXT
    | st.lists(st.integers(-5, 5), max_size=3)
    | st.dictionaries(st.text(max_size=3), TEXT, max_size=2),
    max_size=2,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"index": st.integers(0, 3), "function": st.fixed_dictionaries({"arguments": TEXT})},
        optional={"id": TEXT, "type": st.just("function")},
    ),
    max_size=2,
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | TEXT,
        "refusal": st.none() | TEXT,
        "tool_calls": CALLS,
        "audio": st.dictionaries(st.just("data"), TEXT),
    },
)
CHOICE = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "delta": DELTA, "finish_reason": st.sampled_from([None, None, "stop", "tool_calls"])},
)
CHUNK = st.builds(lambda choices, more: {"id": "c", **more, "choices": choices}, st.lists(CHOICE, max_size=3), MORE)


@st.composite
def event_bytes(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """One event, spelt as some server spells it."""
    kind = draw(st.sampled_from(["chunk", "chunk", "chunk", "comment", "named", "odd"]))
    end: bytes = draw(st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n"]))
    if kind == "comment":
        said: bytes = draw(st.sampled_from([b"ping", b"OPENROUTER PROCESSING", b'"usage":null']))
        return b": " + said + end
    if kind == "odd":
        odd: bytes = draw(st.sampled_from([b"retry: 5", b"id: 7\nevent: x\ndata: plain", b"data", b'data: {"broken']))
        return odd + end
    style = {"ensure_ascii": draw(st.booleans()), "separators": draw(st.sampled_from([(",", ":"), (", ", ": ")]))}
    space: bytes = draw(st.sampled_from([b" ", b" ", b""]))
    data = json.dumps(draw(CHUNK), **style).encode("utf-8", "replace")
    return (b"event: message\n" if kind == "named" else b"") + b"data:" + space + data + end


STREAM = st.builds(
    lambda events, done: b'data: {"choices":[]}\n\n' + b"".join(events) + done,
    st.lists(event_bytes(), max_size=8),
    st.just(DONE) | st.just(b"data: [DONE]"),
)
CUTS = st.lists(st.integers(0, 3000), max_size=12)


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    """The body in chunks, none of them empty."""
    edges = sorted({0, len(body), *(each % (len(body) + 1) for each in cuts)})
    return [body[a:b] for a, b in pairwise(edges)]


class Side:
    """A gateway in front of a scripted upstream, on a loop of its own thread: one for all examples."""

    def __init__(self) -> None:
        self._upstream = Upstream()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, play: Play, body: dict[str, object]) -> tuple[bytes, bytes]:
        """What the upstream says directly, and what it says through the gateway."""
        return self._run(self._both(play, body))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        self._direct = await self._stack.enter_async_context(self._upstream.serving())
        self._url = await self._stack.enter_async_context(gateway(configured({"up": self._direct})))
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())

    async def _both(self, play: Play, body: dict[str, object]) -> tuple[bytes, bytes]:
        self._upstream.then(play)
        return await self._read(self._direct, body), await self._read(f"{self._url}/v1", body)

    async def _read(self, base: str, body: dict[str, object]) -> bytes:
        async with self._session.post(f"{base}/chat/completions", json=body) as answer:
            return await answer.read()


@pytest.fixture(scope="module")
def side() -> Iterator[Side]:
    with Side() as opened:
        yield opened


def streamed(chunks: list[bytes]) -> Play:
    fields = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    return Play([head(200, fields), *map(framed, chunks), b"0\r\n\r\n"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM, CUTS)
@example(b'data: {"choices":[{"delta":{"content":"\xf0\x9f\x98\x80"}}]}\n\n' + DONE, list(range(60)))
@example(b'data: {"choices":[]}\r\n\r\ndata:[DONE]\r\n\r\n', list(range(60)))
def test_a_stream_is_the_same_byte_for_byte(side: Side, body: bytes, cuts: list[int]) -> None:
    direct, through = side.ask(streamed(cut(body, cuts)), chat(stream=True, stream_options={"include_usage": True}))
    assert direct == body
    assert through == body


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM, CUTS, st.sampled_from([b',"usage":null', b', "usage": null']))
def test_without_usage_asked_for_only_usage_is_missing(
    side: Side, body: bytes, cuts: list[int], nothing: bytes
) -> None:
    usage = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    silent = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]' + nothing + b"}\n\n"
    before, _, done = body.rpartition(b"data: [DONE]")
    sent = before + silent + usage + b"data: [DONE]" + done
    expected = before + silent.replace(nothing, b"") + b"data: [DONE]" + done
    assert side.ask(streamed(cut(sent, cuts)), chat(stream=True))[1] == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MORE, TEXT, st.booleans())
def test_a_whole_answer_is_the_same_byte_for_byte(side: Side, more: dict[str, object], text: str, plain: bool) -> None:  # noqa: FBT001
    body = json.dumps(completion(text, **more), ensure_ascii=plain, indent=1).encode("utf-8", "replace")
    direct, through = side.ask(whole(body), chat())
    assert direct == through == body
