"""The OpenAPI description is true: requests that it allows are taken, what it forbids is refused, answers fit it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.http.preferences import Routing

if TYPE_CHECKING:
    from tests.upstream_app import Upstream

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PATHS = {
    "/livez",
    "/metrics",
    "/readyz",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/decisions",
    "/v1/decisions/{decision_id}",
    "/v1/embeddings",
    "/v1/feedback",
    "/v1/models",
    "/v1/models/{name}",
    "/v1/overview",
    "/v1/responses",
}
INFERENCE = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
CAN_BE_WRONG = INFERENCE | {"/v1/decisions", "/v1/feedback"}
RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
BOUNDED = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
async def description(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        told: dict[str, Any] = (await client.get(f"{url.removesuffix('/v1')}/openapi.json")).json()
    return told


async def test_every_path_is_described(description: dict[str, Any]) -> None:
    assert set(description["paths"]) == PATHS
    routing = description["components"]["schemas"]["Routing"]
    assert set(routing["properties"]) == set(Routing.__struct_fields__)
    assert routing["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "mode"),
    [*((path, RIGHT) for path in sorted(PATHS)), *((path, WRONG) for path in sorted(CAN_BE_WRONG))],
)
async def test_requests_and_answers_fit_the_description(
    description: dict[str, Any], url: str, upstream: Upstream, path: str, mode: GenerationMode
) -> None:
    base = url.removesuffix("/v1")
    checks = [*CHECKS, negative_data_rejection] if mode is WRONG else CHECKS
    schema = schemathesis.openapi.from_dict(description)
    [operation] = schema[path].values()
    tried: list[int] = []

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        taken = mode is RIGHT and path in INFERENCE
        if taken:
            assert isinstance(case.body, dict)
            case.body = {**case.body, "model": "cheap", "routing": None}  # it may allow nobody
        answer = case.call(base_url=base)
        tried.append(answer.status_code)
        assert answer.status_code == HTTPStatus.OK or not taken, answer.text
        case.validate_response(answer, checks=checks)

    await asyncio.to_thread(check)
    assert len(upstream.asked) == (len(tried) if mode is RIGHT and path in INFERENCE else 0)
    assert mode is RIGHT or HTTPStatus.BAD_REQUEST in tried
