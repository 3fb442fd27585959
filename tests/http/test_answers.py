"""What we add to answers, and our errors in OpenAI's shape: every class of the tree, as a client sees it."""

from __future__ import annotations

import json

import pytest

from gateway import errors
from gateway.core.decision import Decision, Stopwatch
from gateway.core.estimate import Expected
from gateway.domain import Preferences, Query
from gateway.http import answers


def decided(*, explain: bool = False, model: str = "small") -> Decision:
    watch = Stopwatch(0.0)
    for number, part in enumerate(("parse", "window", "predict", "assign", "reserve", "connect"), start=1):
        watch.lap(part, number * 1.2345e-3 + number * number * 1e-7)
    query = Query(id="dec_1", target="auto", messages=b"[]", preferences=Preferences(explain=explain))
    expected = Expected(quality=0.75, cost_usd=1.5e-6, input_tokens=1.0, output_tokens=1.0)
    return Decision(query=query, watch=watch, expected=expected, endpoint="one", model=model)


def test_headers_say_what_was_decided() -> None:
    decision = decided()
    assert dict(answers.decision_headers(decision)) == {
        b"x-paretogate-decision": b"dec_1",
        b"x-paretogate-model": b"small",
        b"x-paretogate-endpoint": b"one",
        b"x-paretogate-cost-usd": b"0.000001500",
        b"x-paretogate-quality": b"0.7500",
        b"x-paretogate-overhead-ms": b"7.411",
    }
    decision.cost_usd = 0.25  # the bill has come
    assert dict(answers.decision_headers(decision))[b"x-paretogate-cost-usd"] == b"0.250000000"


def test_the_parts_of_the_overhead_sum_to_it() -> None:
    headers = dict(answers.decision_headers(decided(explain=True)))
    parts = dict(part.split(";dur=") for part in headers[b"server-timing"].decode().split(", "))
    assert list(parts) == ["parse", "window", "predict", "assign", "reserve", "connect"]
    total = float(headers[b"x-paretogate-overhead-ms"])
    assert sum(map(float, parts.values())) == pytest.approx(total, rel=0.01, abs=0.001)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpt-4o", b"gpt-4o"),
        ("org/großes Modell", b"org/gro%C3%9Fes Modell"),
        ("模型", b"%E6%A8%A1%E5%9E%8B"),
        ("100%", b"100%"),
    ],
)
def test_any_configured_name_makes_a_header(name: str, value: bytes) -> None:
    assert dict(answers.decision_headers(decided(model=name)))[b"x-paretogate-model"] == value


ERRORS: list[tuple[errors.GatewayError, int, str, str | None, str]] = [
    (errors.InvalidRequestError("m", param="p"), 400, "invalid_request_error", None, "false"),
    (errors.ContextLengthError("m"), 400, "invalid_request_error", "context_length_exceeded", "false"),
    (errors.NoCapableModelError("m"), 400, "invalid_request_error", "no_capable_model", "false"),
    (errors.InvalidKeyError("m"), 401, "invalid_request_error", "invalid_api_key", "false"),
    (errors.PermissionDeniedError("m"), 403, "permission_error", None, "false"),
    (errors.NotFoundError("m"), 404, "invalid_request_error", None, "false"),
    (errors.UnknownModelError("m"), 404, "invalid_request_error", "model_not_found", "false"),
    (errors.NotAllowedError("m"), 405, "invalid_request_error", None, "false"),
    (errors.TooLargeError("m"), 413, "invalid_request_error", "request_too_large", "false"),
    (errors.NoHeadroomError("m", retry_after=2.5), 429, "overloaded", "no_headroom", "true"),
    (errors.RateLimitError("m", retry_after=2.5), 429, "rate_limit_error", "rate_limit_exceeded", "true"),
    (errors.BudgetSpentError("m", retry_after=2.5), 429, "insufficient_quota", "insufficient_quota", "false"),
    (errors.DeadlineError("m"), 504, "timeout_error", None, "false"),
    (errors.UpstreamError("m"), 502, "upstream_error", "upstream_failed", "false"),
    (errors.UpstreamCredentialsError("m"), 502, "upstream_error", "upstream_credentials", "false"),
    (errors.NoHealthyEndpointError("m", retry_after=2.5), 503, "upstream_error", "no_healthy_endpoint", "true"),
    (errors.GatewayError("m"), 500, "server_error", None, "false"),
]


@pytest.mark.parametrize(("error", "status", "kind", "code", "again"), ERRORS, ids=lambda each: type(each).__name__)
def test_every_error_has_its_place_in_the_table(
    error: errors.GatewayError, status: int, kind: str, code: str | None, again: str
) -> None:
    assert answers.error_status(error) == status
    told = json.loads(answers.error_body(error))["error"]
    assert told == {"message": "m", "type": kind, "param": error.param, "code": code}
    assert dict(answers.error_headers(error))[b"x-should-retry"] == again.encode()
    assert answers.error_event(error) == b"data: " + answers.error_body(error) + b"\n\n"


def test_when_to_come_back_is_told_in_both_ways() -> None:
    headers = dict(answers.error_headers(errors.NoHeadroomError("full", retry_after=2.5)))
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"3", b"2500")
    soon = dict(answers.error_headers(errors.NoHeadroomError("full", retry_after=0.02)))
    assert (soon[b"retry-after"], soon[b"retry-after-ms"]) == (b"1", b"20")
    assert b"retry-after" not in dict(answers.error_headers(errors.BudgetSpentError("spent", retry_after=9)))
    assert b"retry-after" not in dict(answers.error_headers(errors.DeadlineError("late")))


def test_who_has_no_key_is_told_how_to_show_one() -> None:
    assert dict(answers.error_headers(errors.InvalidKeyError("no")))[b"www-authenticate"] == b"Bearer"


def test_an_upstreams_own_rejection_goes_on_as_it_came() -> None:
    body = b'{"error":{"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":null}}'
    error = errors.UpstreamRejectedError(body, upstream_status=422, endpoint="one")
    assert (answers.error_status(error), answers.error_body(error)) == (422, body)
    assert dict(answers.error_headers(error))[b"x-should-retry"] == b"false"
