"""What an upstream's refusal means: whose fault it is, when to come back, and what the client is told of it."""

from __future__ import annotations

import json

import pytest

from gateway import errors
from gateway.core.rejections import code_of, message, normalised, rejection, retry_after

NOW = 1_760_000_000.0  # 2025-10-09T08:53:20Z
OPENAI = b'{"error":{"message":"no such parameter","type":"invalid_request_error","param":"top_q","code":null}}'


def shaped(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.UpstreamRejectedError),
        (401, errors.UpstreamCredentialsError),
        (402, errors.UpstreamCredentialsError),
        (403, errors.UpstreamCredentialsError),
        (404, errors.UpstreamRejectedError),
        (408, errors.UpstreamError),
        (409, errors.UpstreamRejectedError),
        (413, errors.UpstreamRejectedError),
        (422, errors.UpstreamRejectedError),
        (429, errors.UpstreamBusyError),
        (500, errors.UpstreamError),
        (502, errors.UpstreamError),
        (503, errors.UpstreamError),
        (529, errors.UpstreamError),
        (302, errors.UpstreamError),
    ],
)
def test_a_status_says_whose_fault_it_is(status: int, kind: type[errors.UpstreamError]) -> None:
    error = rejection(status, OPENAI, {}, "one")
    assert type(error) is kind
    assert error.endpoint == "one"


def test_the_clients_own_error_goes_on_unchanged() -> None:
    error = rejection(422, OPENAI, {}, "one")
    assert isinstance(error, errors.UpstreamRejectedError)
    assert (error.upstream_status, error.body) == (422, OPENAI)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}',
         shaped("too long", "BadRequestError", "400")),
        (b'{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}',
         shaped("too long", "BadRequestError", "400")),
        (b'{"error":"model not found, try pulling it first"}', shaped("model not found, try pulling it first")),
        (b'{"detail":"Not Found"}', shaped("Not Found")),
        (b'{"detail":[{"loc":["body"],"msg":"field required"}]}', shaped('[{"loc":["body"],"msg":"field required"}]')),
        (b"<html><head><title>400 Bad Request</title></head>\n<p>nginx</html>", shaped("400 Bad Request nginx")),
        (b"", shaped("no text")),
        (b"\xff\xfe", shaped("\ufffd\ufffd")),
        (b'"just text"', shaped("just text")),
        (b"[1,2]", shaped("[1,2]")),
        (b"null", shaped("null")),
        (b'{"error":{"message":"x","type":null}}', shaped("x")),
        (b'{"error":{"message":{"a":1},"type":"t"}}', shaped('{"a":1}', "t")),
    ],
)  # fmt: skip
def test_other_shapes_are_brought_into_openais(body: bytes, expected: dict[str, object]) -> None:
    assert json.loads(normalised(400, body)) == expected


@pytest.mark.parametrize(
    "body", [OPENAI, b'{"error":{"message":"x"}}', b'{"error":{"message":"x","type":"t","code":"c","more":[1]}}']
)
def test_openais_shape_is_left_as_it_came(body: bytes) -> None:
    assert normalised(400, body) is body


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Incorrect API key provided: sk-proj-abcdef123456. See the docs", "abcdef123456"),
        ("invalid Authorization: Bearer eyJhbGciOi.x.y", "eyJhbGciOi"),
        ("api_key=0123456789 is not known", "0123456789"),
        ("token: abcdefghij", "abcdefghij"),
    ],
)
def test_secrets_are_scrubbed(text: str, gone: str) -> None:
    said = message(json.dumps({"error": text}).encode())
    assert gone not in said
    assert "[removed]" in said


def test_a_long_text_is_cut() -> None:
    assert len(message(b"x" * 100_000)) == 500


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 09 Oct 2025 08:53:50 GMT"}, 30.0),
        ({"retry-after": "Thu, 09 Oct 2025 08:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
    error = rejection(429, b"", headers, "one", now=NOW)
    assert isinstance(error, errors.UpstreamBusyError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error":{"code":400}}', 400),
        (b'{"error":{"code":"429"}}', 429),
        (b'{"error":{"message":"x","status_code":503}}', 503),
        (b'{"error":{"code":"context_length_exceeded"}}', 400),
        (b'{"error":{"type":"rate_limit_error"}}', 429),
        (b'{"type":"error","code":"rate_limit_exceeded","message":"x"}', 429),
        (b'{"error":{"type":"server_error","code":null}}', 502),
        (b'{"error":{"code":200}}', 502),
        (b'{"error":{"code":[1]}}', 502),
        (b'{"error":{"code":true}}', 502),
        (b'{"error":"overloaded"}', 502),
        (b"nonsense", 502),
        (b"[]", 502),
    ],
)
def test_an_error_inside_a_200_names_its_status(body: bytes, status: int) -> None:
    assert code_of(body) == status
