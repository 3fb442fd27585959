"""Reading whole answers: what is odd in one is not told, and never an error."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.core.reports import read_report
from gateway.domain import Usage

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_chat_completion() -> None:
    body = {
        "id": "c1",
        "choices": [{"message": {"content": None, "tool_calls": [CALL]}}, {"message": {"content": "x"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}},
    }
    report = read_report(json.dumps(body).encode())
    assert report.usage == Usage(7, 3, 2)
    assert report.continuations == ["call_1"]
    assert not report.failed
    assert not report.only_usage


def test_a_response() -> None:
    body = {
        "id": "resp_1",
        "error": None,
        "output": [{"type": "reasoning", "id": "rs"}, {"type": "function_call", "call_id": "call_1"}],
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }
    report = read_report(json.dumps(body).encode())
    assert report.usage == Usage(7, 3)
    assert report.continuations == ["call_1", "resp_1"]


def test_embeddings() -> None:
    body = {"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    assert read_report(json.dumps(body).encode()).usage == Usage(4, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"usage":null,"choices":null,"error":null}',
        b'{"usage":[],"choices":{},"output":5,"item":"x","response":[],"id":7}',
        b'{"usage":{"prompt_tokens":{}},"choices":[5]}',
        b'{"choices":[{"message":{"tool_calls":[{"id":5}]}}]}',
        b'{"choices":[{"message":{"tool_calls":"none"}}]}',
        b'{"output":[{"call_id":5}],"id":null}',
        b'{"error":false,"error_count":1}',
    ],
)
def test_what_is_odd_is_not_told(body: bytes) -> None:
    report = read_report(body)
    assert report.usage is None
    assert report.continuations == []
    assert not report.failed


@pytest.mark.parametrize("error", ['{"message":"no"}', '"no"', "true", "1", '["x"]'])
def test_whatever_a_client_takes_for_an_error_is_one(error: str) -> None:
    assert read_report(f'{{"error":{error}}}'.encode()).failed


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"5", b'{"usage":', b'{"a":"\\ud800"}'])
def test_no_json_object_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_report(body)
