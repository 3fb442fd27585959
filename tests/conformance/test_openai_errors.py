"""Each row of the error table as the OpenAI SDK sees it: which class it raises, and how often it asks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.gateway_server import gateway, settings
from tests.http.keyed import key, token
from tests.upstream_app import STALL, Play, Upstream, completion, failed, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types.chat import ChatCompletion

HELLO = [{"role": "user", "content": "hello"}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
ONCE = 1  # request of a client that may retry twice
LIMITED = {"can": ["tools"], "context": 100}
WITH_KEYS: dict[str, Any] = {"keys": [key("team", models=["nobody*"])]}


class Counting(AsyncOpenAI):
    """The SDK as it comes, which notes each request that it sends by the count of its retries."""

    sent: list[str]

    async def _prepare_request(self, request: Any) -> None:  # noqa: ANN401 - of the SDK's own HTTP library
        self.sent.append(request.headers["x-stainless-retry-count"])


@dataclass
class Client:
    """Asks for a chat."""

    sdk: Counting

    @property
    def sent(self) -> list[str]:
        return self.sdk.sent

    async def ask(self, **more: Any) -> ChatCompletion:  # noqa: ANN401 - of any shape
        asked: dict[str, Any] = {"model": "auto", "messages": HELLO, **more}
        answer: ChatCompletion = await self.sdk.chat.completions.create(**asked)
        return answer

    async def refused(self, **more: Any) -> openai.APIStatusError:  # noqa: ANN401 - as above
        with pytest.raises(openai.APIStatusError) as caught:
            await self.ask(**more)
        return caught.value


@asynccontextmanager
async def client_of(upstream: Upstream, api_key: str = "none", **sections: Any) -> AsyncIterator[Client]:  # noqa: ANN401 - of any shape
    """A client that retries twice, a gateway and the one endpoint behind it."""
    async with (
        upstream.serving() as direct,
        gateway(settings({"cheap": direct}, models={"cheap": LIMITED}, **sections)) as served,
        Counting(base_url=f"{served}/v1", api_key=api_key, max_retries=2) as sdk,
    ):
        sdk.sent = []
        yield Client(sdk)


@pytest.mark.parametrize(
    ("asked", "kind", "code"),
    [
        ({"messages": []}, openai.BadRequestError, None),
        ({"extra_body": {"routing": {"tradeoff": 11}}}, openai.BadRequestError, None),
        ({"max_tokens": 5000}, openai.BadRequestError, "context_length_exceeded"),
        ({"messages": PICTURE}, openai.BadRequestError, "no_capable_model"),
        ({"model": "cheep"}, openai.NotFoundError, "model_not_found"),
        ({"messages": [{"role": "user", "content": "x" * 40_000}]}, openai.APIStatusError, "request_too_large"),
    ],
)
async def test_the_clients_own_errors_are_raised_at_once(
    asked: dict[str, Any], kind: type[openai.APIStatusError], code: str | None
) -> None:
    upstream = Upstream()
    async with client_of(upstream, server={"max_body_mb": 0.02}) as client:
        error = await client.refused(**asked)
    assert (type(error), error.code, len(client.sent)) == (kind, code, ONCE)
    assert error.request_id
    assert not upstream.asked


@pytest.mark.parametrize(
    ("api_key", "kind", "code"),
    [
        ("wrong", openai.AuthenticationError, "invalid_api_key"),
        (token("team"), openai.PermissionDeniedError, None),
    ],
)
async def test_keys(api_key: str, kind: type[openai.APIStatusError], code: str | None) -> None:
    async with client_of(Upstream(), api_key, **WITH_KEYS) as client:
        error = await client.refused(model="cheap")
    assert (type(error), error.code, len(client.sent)) == (kind, code, ONCE)


async def test_a_keys_rate_is_a_rate_limit_that_passes() -> None:
    async with client_of(Upstream(), token("team"), keys=[key("team", requests_per_minute=1)]) as client:
        client.sdk.max_retries = 0
        await client.ask()
        error = await client.refused()
    assert (type(error), error.code, error.type) == (openai.RateLimitError, "rate_limit_exceeded", "rate_limit_error")
    assert error.response.headers["x-should-retry"] == "true"
    assert 0 < int(error.response.headers["retry-after-ms"]) <= 65_000


async def test_a_keys_budget_is_a_rate_limit_that_no_retry_helps() -> None:
    upstream, poor = Upstream(), key("team", budget={"usd": 1e-9, "per": "day"})
    async with client_of(upstream, token("team"), keys=[poor]) as client:
        error = await client.refused()
    assert (type(error), error.code, client.sent) == (openai.RateLimitError, "insufficient_quota", ["0"])
    assert error.response.headers["x-should-retry"] == "false"
    assert not upstream.asked


@pytest.mark.parametrize(
    ("play", "kind", "code"),
    [
        (failed(422), openai.UnprocessableEntityError, None),
        (failed(409), openai.ConflictError, None),  # which the SDK would try again
        (failed(401), openai.InternalServerError, "upstream_credentials"),
        (failed(500), openai.InternalServerError, "upstream_failed"),
        (whole(b"<html>", 503, content_type="text/html"), openai.InternalServerError, "upstream_failed"),
    ],
)
async def test_what_the_gateway_has_given_up_is_not_asked_again(
    play: Play, kind: type[openai.APIStatusError], code: str | None
) -> None:
    upstream = Upstream()
    upstream.then(play)
    async with client_of(upstream) as client:
        error = await client.refused()
    assert (type(error), error.code, len(client.sent)) == (kind, code, ONCE)
    assert error.response.headers["x-should-retry"] == "false"


async def test_a_deadline_is_not_asked_again() -> None:
    upstream = Upstream()
    upstream.then(Play([STALL]))
    async with client_of(upstream) as client:
        error = await client.refused(extra_body={"routing": {"deadline_ms": 60}})
    assert (type(error), error.status_code, len(client.sent)) == (openai.InternalServerError, 504, ONCE)


async def test_a_full_endpoint_is_asked_again_after_the_time_that_was_told() -> None:
    upstream = Upstream()
    upstream.then(failed(429, retry_after_ms="200"), whole(completion("now")))
    async with client_of(upstream, queue={"max_wait_s": 0.05}) as client:
        answer = await client.ask()
    assert answer.choices[0].message.content == "now"
    assert client.sent in (["0", "1"], ["0", "1", "2"])
    assert len(upstream.asked) == 2


async def test_an_endpoint_that_stays_full_is_a_rate_limit_with_an_honest_wait() -> None:
    upstream = Upstream()
    upstream.then(failed(429, retry_after_ms="60000"))
    async with client_of(upstream, queue={"max_wait_s": 0.05}) as client:
        client.sdk.max_retries = 0
        error = await client.refused()
    assert (type(error), error.code) == (openai.RateLimitError, "no_headroom")
    assert error.response.headers["x-should-retry"] == "true"
    assert 50_000 < int(error.response.headers["retry-after-ms"]) <= 60_000


async def test_an_endpoint_that_is_down_says_when_to_come_back() -> None:
    upstream = Upstream()
    upstream.then(failed(401))
    async with client_of(upstream) as client:
        await client.refused()
        client.sdk.max_retries = 0
        error = await client.refused()
    assert (type(error), error.status_code, error.code) == (openai.InternalServerError, 503, "no_healthy_endpoint")
    assert error.response.headers["x-should-retry"] == "true"
    assert int(error.response.headers["retry-after"]) > 0


async def test_nobody_asks_twice_without_need() -> None:
    upstream = Upstream()
    async with client_of(upstream) as client:
        await asyncio.gather(*(client.ask(user=str(number)) for number in range(16)))
    assert sorted(int(asked.json["user"]) for asked in upstream.asked) == list(range(16))
    assert client.sent == ["0"] * 16
