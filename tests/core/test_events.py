"""The stream scanner: whatever the chunks, what goes on is the same, and always whole events."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import EVENT_LIMIT, EventStream
from gateway.domain import Usage

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}\n\n'
TEXT = (
    'data: {"choices":[{"delta":{"content":"groß, \\"usage\\":null 😀\\n\\n"},"finish_reason":null}],"usage":null}\n\n'
)
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
TOKENS = b'{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}'
USAGE = b'data: {"choices":[],"usage":' + TOKENS + b"}\n\n"
DONE = b"data: [DONE]\n\n"
COMMENT = b": ping\n\n"
WHOLE = ROLE + COMMENT + TEXT.encode() + LAST + USAGE + DONE


def run(stream: EventStream, body: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return b"".join(stream.feed(body[a:b]) for a, b in pairwise(edges))


@given(st.lists(st.integers(0, 10_000)), st.booleans())
def test_chunk_boundaries_change_nothing(cuts: list[int], windows_lines: bool) -> None:  # noqa: FBT001 - drawn
    body = WHOLE.replace(b"\n\n", b"\r\n\r\n") if windows_lines else WHOLE
    stream = EventStream(strip_usage=False)
    assert run(stream, body, cuts) == body
    assert stream.report.usage == Usage(7, 3, 2)
    assert stream.whole
    assert stream.done
    assert not stream.error


@given(st.lists(st.integers(0, 10_000)))
def test_usage_that_nobody_asked_for_is_left_out(cuts: list[int]) -> None:
    stream = EventStream(strip_usage=True)
    kept = (ROLE + COMMENT + TEXT.encode() + LAST).replace(b',"usage":null', b"") + DONE
    assert run(stream, WHOLE, cuts) == kept
    assert stream.report.usage == Usage(7, 3, 2)


@given(st.integers(0, len(WHOLE)))
def test_an_unfinished_event_is_held_back(cut: int) -> None:
    stream = EventStream(strip_usage=False)
    forwarded = stream.feed(WHOLE[:cut])
    assert WHOLE[:cut].startswith(forwarded)
    assert forwarded == b"" or forwarded.endswith(b"\n\n")
    assert stream.done == (cut == len(WHOLE))


def test_a_marker_inside_the_text_is_not_the_end() -> None:
    stream = EventStream(strip_usage=True)
    stream.feed(b'data: {"choices":[{"delta":{"content":"data: [DONE] \\"finish_reason\\":\\"stop\\""}}]}\n\n')
    assert not stream.done
    assert not stream.whole


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (b'data: {"error":{"message":"no","type":"t","param":null,"code":"c"}}\n\n', True),
        (b'event: error\ndata: {"type":"error","code":"server_error","message":"no"}\n\n', True),
        (b'data: {"error":\ndata: {"message":"in two lines"}}\n\n', True),
        (b'data: {"type":"error","code":400,"message":"of the response surface"}\n\n', True),
        (b'data: {"type":"response.created","response":{"error":null}}\n\n', False),
        (b'data: {"choices":[{"delta":{"content":"x"}}],"error":{}}\n\n', False),
        (b'data: {"error":null,"choices":[]}\n\n', False),
        (b'data: {"choices":[{"delta":{"content":"the word \\"error\\""}}]}\n\n', False),
        (b"data: {broken\n\n", False),
    ],
)
def test_an_error_event_is_noticed(event: bytes, failed: bool) -> None:  # noqa: FBT001 - a parameter
    stream = EventStream(strip_usage=True)
    assert stream.feed(event) == event
    assert bool(stream.error) is failed


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"message": "no", "code": 400}, {"type": "invalid_request_error", "code": "400"}),
        ({"message": "no", "type": "Dead", "param": 7, "code": 500}, {"type": "Dead", "code": "500"}),
        ("no", {"type": "upstream_error", "code": None}),
    ],
)
def test_an_error_event_of_another_shape_is_put_into_openais(said: object, told: dict[str, object]) -> None:
    stream = EventStream(strip_usage=True)
    event = stream.feed(b"data: " + json.dumps({"error": said}).encode() + b"\n\n")
    assert json.loads(event.removeprefix(b"data: ")) == {"error": {"message": "no", "param": None, **told}}
    assert stream.error


@pytest.mark.parametrize("bad", [b"caf\xc3", b"\xff", b"\xed\xa0\x80"])
def test_an_event_that_is_no_text_does_not_go_on_and_nothing_after_it(bad: bytes) -> None:
    stream = EventStream(strip_usage=False)
    event = b'data: {"choices":[{"delta":{"content":"' + bad + b'"}}]}\n\n'
    assert stream.feed(TEXT.encode() + event + LAST + DONE) == TEXT.encode()
    assert stream.garbled
    assert not stream.whole


def test_nothing_goes_on_after_an_error() -> None:
    stream = EventStream(strip_usage=True)
    error = b'data: {"error":{"message":"no"}}\n\n'
    assert stream.feed(ROLE + error + TEXT.encode() + DONE) == ROLE.replace(b',"usage":null', b"") + error
    assert stream.feed(TEXT.encode() + DONE) == stream.flush() == b""
    assert stream.error == b'{"error":{"message":"no"}}'
    assert not stream.whole


@pytest.mark.parametrize(
    ("tail", "whole"),
    [
        (b"data: [DONE]", True),
        (b"data: [DONE]\n", True),
        (b"data:[DONE]\r\n", True),
        (b"x\ndata: [DONE]", False),
        (b'data: {"choices":[]}\n', False),
        (b"data: [DON", False),
        (b": ping", False),
    ],
)
def test_an_end_marker_needs_no_blank_line(tail: bytes, whole: bool) -> None:  # noqa: FBT001 - a parameter
    stream = EventStream(strip_usage=True)
    assert stream.feed(ROLE + tail) == ROLE.replace(b',"usage":null', b"")
    assert stream.flush() == (tail if whole else b"")
    assert stream.whole is whole


@pytest.mark.parametrize(
    "last",
    [
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason": "length"}]}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n',
        b'event: response.incomplete\ndata: {"type": "response.incomplete","response":{}}\n\n',
    ],
)
def test_a_reason_for_ending_makes_a_stream_whole(last: bytes) -> None:
    stream = EventStream(strip_usage=True)
    stream.feed(ROLE)
    assert not stream.whole
    stream.feed(last)
    assert stream.whole
    assert not stream.done


def test_what_a_query_may_go_on_from_is_remembered() -> None:
    stream = EventStream(strip_usage=True)
    stream.feed(
        b'data: {"id":"c","choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"f"}}]}}]}\n\n'
        b'data: {"id":"c","choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}\n\n'
        b'data: {"id":"c","choices":[{"delta":{"tool_calls":[{"index":1,"id":"call_b"},{"index":2,"id":""}]}}]}\n\n'
    )
    assert stream.report.continuations == ["call_a", "call_b"]


def test_a_response_is_remembered_too() -> None:
    stream = EventStream(strip_usage=True)
    stream.feed(
        b'data: {"type":"response.output_item.done","item":{"type":"function_call","call_id":"call_a","id":"fc"}}\n\n'
        b'data: {"type":"response.completed","response":{"id":"resp_1","output":[{"type":"message"}],"error":null,'
        b'"usage":{"input_tokens":5,"output_tokens":2,"input_tokens_details":{"cached_tokens":1}}}}\n\n'
    )
    assert stream.report.continuations == ["call_a", "resp_1"]
    assert stream.report.usage == Usage(5, 2, 1)
    assert stream.whole


def test_an_event_without_end_is_noticed() -> None:
    stream = EventStream(strip_usage=True)
    assert stream.feed(b"data: " + b"x" * EVENT_LIMIT) == b""
    assert stream.overflowing


@pytest.mark.parametrize(
    ("tokens", "usage"),
    [
        (b'{"prompt_tokens":0,"completion_tokens":0}', Usage(0, 0, 0)),
        (b'{"prompt_tokens":5,"completion_tokens":-1}', Usage(5, 0, 0)),
        (b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9}}', Usage(5, 1, 5)),
        (b'{"input_tokens":5,"output_tokens":1}', Usage(5, 1, 0)),
        (b'{"prompt_tokens":5.0,"completion_tokens":null}', Usage(5, 0, 0)),
        (b"{}", None),
        (b'{"prompt_tokens":"many"}', None),
        (b'{"prompt_tokens":1e300,"completion_tokens":1}', None),
        (b'{"total_tokens":3}', None),
    ],
)
def test_usage_is_read_as_it_is_spelt(tokens: bytes, usage: Usage | None) -> None:
    stream = EventStream(strip_usage=True)
    stream.feed(b'data: {"choices":[],"usage":' + tokens + b"}\n\n")
    assert stream.report.usage == usage
