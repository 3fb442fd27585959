"""Reading a request: what a decision needs is found, what is forwarded are the client's bytes, what is bad is named."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain import Capability, Key
from gateway.errors import InvalidRequestError
from gateway.http.body import Call, read
from gateway.http.surface import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, SURFACES

HELLO = [{"role": "user", "content": "hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
PLAIN = b'"model":"auto","messages":[{"role":"user","content":"hello"}]'


def chat(messages: object = HELLO, **more: object) -> Call:
    return read(json.dumps({"model": "auto", "messages": messages, **more}).encode(), {}, CHAT)


def respond(given: object, **more: object) -> Call:
    return read(json.dumps({"model": "auto", "input": given, **more}).encode(), {}, RESPONSES)


def sent_on(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(call.body("upstream-name"))
    return body


@pytest.mark.parametrize(
    ("message", "characters", "needs"),
    [
        ({"role": "user", "content": "hello"}, 5, set()),
        ({"role": "developer", "content": "hello"}, 5, set()),
        ({"role": "user", "content": "grüße"}, 7, set()),  # as a tokenizer counts: by bytes
        ({"role": "user", "content": "你好"}, 6, set()),
        ({"role": "user", "content": [{"type": "text", "text": "hello"}, "you"]}, 8, set()),
        ({"role": "user", "content": []}, 0, set()),
        ({"role": "user", "content": ""}, 0, set()),
        ({"role": "assistant", "content": None}, 0, set()),
        ({"role": "assistant"}, 0, set()),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, len(json.dumps([CALL])), set()),
        ({"role": "tool", "tool_call_id": "call_1", "content": "42"}, 2, set()),
        ({"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "42"}]}, 2, set()),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, 2, set()),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, 3060, {"vision"}),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}, 0, {"audio"}),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, 0, set()),
        ({"role": "user", "content": [{"type": "hologram", "of": [1, {"a": None}]}]}, 0, set()),
        ({"role": "user", "content": "x", "name": "ann", "reasoning_content": None, "tomorrow": {}}, 1, set()),
    ],
)
def test_a_message_of_any_kind_is_read(message: dict[str, object], characters: int, needs: set[str]) -> None:
    call = chat([message])
    assert call.characters == characters
    assert {need.value for need in call.needs} == needs
    assert sent_on(call)["messages"] == [message]


@pytest.mark.parametrize(
    ("more", "needs"),
    [
        ({"tools": [TOOL]}, {Capability.TOOLS}),
        ({"tools": []}, set()),
        ({"tools": None}, set()),
        ({"functions": [{"name": "f"}]}, {Capability.TOOLS}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {Capability.JSON_SCHEMA}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": None}, set()),
        ({"modalities": ["text", "audio"]}, {Capability.AUDIO}),
        ({"modalities": ["text"]}, set()),
        ({"text": 5}, set()),  # no field of a chat
    ],
)
def test_what_a_request_needs_of_a_model(more: dict[str, object], needs: set[Capability]) -> None:
    assert chat(**more).needs == needs


def test_a_response_asks_in_its_own_words() -> None:
    call = respond([{"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image"}]}])
    assert call.needs == {Capability.VISION}
    assert call.characters == 3062
    assert respond("hi", text={"format": {"type": "json_schema"}}).needs == {Capability.JSON_SCHEMA}
    assert respond("hi", text={"format": {"type": "text"}, "verbosity": "low"}).needs == set()
    assert respond("hi", max_output_tokens=9).max_tokens == 9


@pytest.mark.parametrize(
    ("more", "limit", "choices"),
    [
        ({}, None, 1),
        ({"max_tokens": 5}, 5, 1),
        ({"max_tokens": 5.0, "n": 2.0}, 5, 2),  # an integer to JSON Schema
        ({"max_completion_tokens": 7, "max_tokens": None}, 7, 1),
        ({"max_tokens": 0}, None, 1),
        ({"n": 3}, None, 3),
        ({"n": None}, None, 1),
    ],
)
def test_limits_and_choices(more: dict[str, object], limit: int | None, choices: int) -> None:
    call = chat(**more)
    assert (call.max_tokens, call.choices) == (limit, choices)


@pytest.mark.parametrize("prompt", ["hello", ["hello", "you"], [1, 2, 3], [[1, 2], [3]], None])
def test_a_prompt_of_any_kind_is_read(prompt: object) -> None:
    call = read(json.dumps({"model": "m", "prompt": prompt, "best_of": 2}).encode(), {}, COMPLETIONS)
    assert call.characters == {"hello": 5, '["hello", "you"]': 8, "null": 0}.get(
        prompt if isinstance(prompt, str) else json.dumps(prompt), 12
    )
    assert call.choices == 2
    assert sent_on(call)["prompt"] == prompt


def test_a_response_may_have_no_input() -> None:
    call = read(b'{"model":"m","prompt":{"id":"pmpt_1"}}', {}, RESPONSES)
    assert call.query("dec_1", 0.0, inf).messages == b'""'


@pytest.mark.parametrize(
    ("messages", "continues"),
    [
        ([*HELLO], ()),
        ([*HELLO, {"role": "assistant", "tool_calls": [CALL]}], ()),
        ([{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1"}], ("call_1",)),
        (
            [
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "a"},
                {"role": "tool", "tool_call_id": "b"},
                {"role": "user", "content": "and this picture"},
            ],
            ("a", "b"),
        ),
        ([{"role": "tool", "tool_call_id": "a"}, {"role": "assistant", "content": "done"}, *HELLO], ()),
    ],
)
def test_a_tool_loop_is_recognised(messages: list[dict[str, object]], continues: tuple[str, ...]) -> None:
    assert chat(messages).continues == continues


def test_a_response_goes_on_from_calls_and_from_another_response() -> None:
    called = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "42"}
    assert respond([{"role": "user", "content": "x"}, called, result]).continues == ("c1",)
    assert respond([result], previous_response_id="resp_1").continues == ("c1", "resp_1")
    assert respond([called]).continues == ()


def test_every_value_keeps_its_bytes() -> None:
    body = (
        b'{ "model" : "auto", "seed": 12345678901234567890123, "temperature" : 1.0e-1 , "user":"\\u00e9\\/", '
        b'"logit_bias": {"50256" : -100},"messages" : [ {"role":"user", "content":"a\\u0000b"} ],"x":[ ] }'
    )
    on = read(body, {}, CHAT).body("up")
    for value in (
        b"12345678901234567890123",
        b"1.0e-1",
        b'"\\u00e9\\/"',
        b'{"50256" : -100}',
        b'[ {"role":"user", "content":"a\\u0000b"} ]',
        b"[ ]",
    ):
        assert value in on
    assert json.loads(on) == {**json.loads(body), "model": "up"}
    assert list(json.loads(on)) == list(json.loads(body))


def test_a_key_that_was_sent_twice_goes_on_once() -> None:
    call = read(b'{"model":"a","model":"auto",' + PLAIN[15:] + b',"n":1,"n":2}', {}, CHAT)
    assert (call.model, call.choices) == ("auto", 2)
    assert json.loads(call.body("up"), object_pairs_hook=list)[0] == ("model", "up")
    assert call.body("up").count(b'"n"') == 1
    assert call.body("up").count(b'"model"') == 1


def test_our_extension_stays_here() -> None:
    call = chat(routing={"min_quality": 0.5, "explain": True}, metadata={"a": "b"})
    assert call.preferences.min_quality == 0.5
    assert "routing" not in sent_on(call)
    assert sent_on(call)["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    ("more", "asked", "options"),
    [
        ({}, False, None),
        ({"stream": False, "stream_options": None}, False, None),
        ({"stream": True}, False, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, False, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": False}}, False, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, {"include_usage": True}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False, "later": [1.50]}},
            False,
            {"include_obfuscation": False, "later": [1.5], "include_usage": True},
        ),
    ],
)
def test_a_stream_is_always_asked_for_its_usage(
    more: dict[str, object],
    asked: bool,  # noqa: FBT001 - a parameter
    options: dict[str, object] | None,
) -> None:
    call = chat(**more)
    assert call.include_usage is asked
    assert sent_on(call).get("stream_options") == options


def test_surfaces_differ() -> None:
    assert respond("hi", stream=True).stream
    assert "stream_options" not in sent_on(respond("hi", stream=True))
    assert not read(b'{"model":"m","input":"hi","stream":true}', {}, EMBEDDINGS).stream
    assert {surface.path: surface.routes for surface in SURFACES if not surface.routes} == {"/embeddings": False}


def test_headers_that_go_on() -> None:
    sent = {
        b"accept": b"text/event-stream",
        b"traceparent": b"00-1-2-01",
        b"openai-beta": b"x",
        b"authorization": b"Bearer client",
        b"cookie": b"a=b",
        b"host": b"gateway",
        b"x-forwarded-for": b"1.2.3.4",
        b"content-type": b"text/plain",
    }
    assert read(b"{" + PLAIN + b"}", sent, CHAT).headers == {
        "accept": "text/event-stream",
        "traceparent": "00-1-2-01",
        "openai-beta": "x",
        "content-type": "application/json",
    }


def test_a_query_ends_when_its_client_does() -> None:
    call = chat(routing={"deadline_ms": 250})
    query = call.query("dec_1", 100.0, patience_s=5.0)
    assert (query.ends_at, query.deadline_at) == (100.25, 100.25)
    patient = chat().query("dec_2", 100.0, patience_s=5.0)
    assert (patient.ends_at, patient.deadline_at) == (inf, 105.0)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b"", None, "the body is empty"),
        (b"[]", None, "the body is no JSON object"),
        (b"nonsense", None, "the body is not JSON"),
        (b'\xef\xbb\xbf{"model":"auto"}', None, "the body is not JSON"),
        (b"{" + PLAIN, None, "the body is not JSON: input data was truncated"),
        (b"{" + PLAIN + b"} {}", None, "trailing characters (byte 65)"),
        (b"{" + PLAIN + b',"a":}', None, "invalid character (byte 67)"),
        (b"{" + PLAIN + b',"a":NaN}', "a", "a: holds half a surrogate pair, NaN or Infinity"),
        (b"{" + PLAIN + b',"a":"\\ud83d"}', "a", "a: holds half a surrogate pair"),
        (b"{" + PLAIN + b',"a":"\\udc00"}', "a", "a: holds half a surrogate pair"),
        (b"{" + PLAIN + b',"a\\ud800":1}', "a?", "a?: holds half a surrogate pair"),
        (b"{" + PLAIN + b',"a":"\xff"}', "a", "a: not UTF-8"),
        (b"{" + PLAIN + b',"\xff":1}', None, "the body is not JSON"),
        (b'{"model":"auto","messages":[{"role":"user","content":"\xc3("}]}', "messages", "messages: not UTF-8"),
        (b'{"model":"auto","messages":[{"content":"\\ud800"}]}', "messages", "messages: holds half a surrogate"),
        (b'{"messages":[]}', "model", "model: name a route (such as auto) or a model"),
        (b'{"model":"","messages":[]}', "model", "model: name a route"),
        (b'{"model":null,"messages":[]}', "model", "model: name a route"),
        (b'{"model":["auto"],"messages":[]}', "model", "model: expected str | null, got array"),
        (b'{"model":"auto"}', "messages", "messages: missing"),
        (b'{"model":"auto","messages":[]}', "messages", "messages: empty"),
        (b'{"model":"auto","messages":null}', "messages", "messages: expected array, got null"),
        (b'{"model":"auto","messages":"hi"}', "messages", "messages: expected array, got str"),
        (b'{"model":"auto","messages":["hi"]}', "messages[0]", "messages[0]: expected object, got str"),
        (b'{"model":"auto","messages":[{"content":5}]}', "messages[0].content", "expected str | array | null, got int"),
        (b'{"model":"auto","messages":[{"content":[5]}]}', "messages[0].content[0]", "expected str | object, got int"),
        (
            b'{"model":"auto","messages":[{"content":[{"type":"text","text":{}}]}]}',
            "messages[0].content[0].text",
            "expected str | null, got object",
        ),
        (b'{"model":"auto","messages":[{"role":1}]}', "messages[0].role", "expected str, got int"),
        (b"{" + PLAIN + b',"stream":"yes"}', "stream", "stream: expected bool | null, got str"),
        (b"{" + PLAIN + b',"stream_options":[]}', "stream_options", "stream_options: expected object | null"),
        (
            b"{" + PLAIN + b',"stream_options":{"include_usage":"no"}}',
            "stream_options.include_usage",
            "expected bool | null, got str",
        ),
        (b"{" + PLAIN + b',"max_tokens":-1}', "max_tokens", "max_tokens: expected int >= 0"),
        (b"{" + PLAIN + b',"max_tokens":1.5}', "max_tokens", "max_tokens: expected int | null, got float"),
        (b"{" + PLAIN + b',"max_tokens":1e400}', "max_tokens", "max_tokens: number out of range"),
        (b"{" + PLAIN + b',"max_tokens":99999999999}', "max_tokens", "expected int <= 2147483647"),
        (b"{" + PLAIN + b',"max_tokens":' + b"9" * 500 + b"}", "max_tokens", "expected int <= 2147483647"),
        (b"{" + PLAIN + b',"n":"2"}', "n", "n: expected int | null, got str"),
        (b"{" + PLAIN + b',"tools":{}}', "tools", "tools: expected array | null, got object"),
        (b"{" + PLAIN + b',"response_format":"json"}', "response_format", "expected object | null, got str"),
        (b"{" + PLAIN + b',"modalities":"audio"}', "modalities", "modalities: expected array | null, got str"),
    ],
)
def test_what_is_wrong_is_said_once_with_its_place(body: bytes, param: str | None, message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(body, {}, CHAT)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert message in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"{" + PLAIN + b',"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"auto","messages":' + b'[{"content":' * 50_000,
    ],
    ids=["beside", "inside"],
)
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        read(body, {}, CHAT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["model", "messages", "stream", "stream_options", "tools", "max_tokens", "n", "routing", "response_format", "input"]
)


@given(st.dictionaries(NAMES | st.text(max_size=4), JSON, max_size=6), st.sampled_from(SURFACES))
def test_any_json_is_read_or_refused(fields: dict[str, object], surface: Any) -> None:  # noqa: ANN401 - drawn
    try:
        call = read(json.dumps(fields).encode(), {}, surface)
    except InvalidRequestError as error:
        assert error.status == 400  # noqa: PT017 - both ends are right
        return
    on = json.loads(call.body("up"))
    on.pop("stream_options", None)
    expected = {name: value for name, value in fields.items() if name not in ("routing", "stream_options")}
    if not (call.stream and surface.usage_on_request) and "stream_options" in fields:
        on["stream_options"] = fields["stream_options"]
        expected["stream_options"] = fields["stream_options"]
    assert on == {**expected, "model": "up"}


@given(st.binary(max_size=60), st.integers(0, 60))
@example(b"\xed\xa0\x80", 45)
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    body = b"{" + PLAIN + b"}"
    with_noise = body[:at] + noise + body[at:]
    try:
        read(with_noise, {}, CHAT).body("up")
    except InvalidRequestError as error:
        assert error.status == 400  # noqa: PT017 - both ends are right


def test_a_query_carries_its_keys_name_and_no_higher_priority_than_it_gives() -> None:
    modest = Key("shop", priority=2)
    asked = [chat(routing={"priority": priority}).query("q", 0.0, 1.0, modest) for priority in (-3, 2, 9)]
    assert [query.preferences.priority for query in asked] == [-3, 2, 2]
    assert asked[0].key == "shop"
    assert chat(routing={"priority": 9}).query("q", 0.0, 1.0).preferences.priority == 9
