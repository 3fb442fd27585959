"""The error table of the wire, as far as a client can bring a row about: status, type, code, and whether to retry."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.gateway_server import gateway, leases, settings
from tests.http.asking import HELLO, Got, ask, chat
from tests.upstream_app import CUT, RESET, STALL, Play, Upstream, completion, delta, event, failed, stream, whole

if TYPE_CHECKING:
    from aiohttp import ClientSession

INVALID = "invalid_request_error"
LONG = [{"role": "user", "content": "word " * 2000}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]


def told(got: Got) -> tuple[int, str, str | None, str]:
    """Status, type, code and x-should-retry."""
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-request-id"]
    return got.status, got.error["type"], got.error["code"], got.headers["x-should-retry"]


@pytest.mark.parametrize(
    ("body", "param", "message", "row"),
    [
        (b"{", None, "the body is not JSON", (400, INVALID, None)),
        (chat(messages=[]), "messages", "messages: empty", (400, INVALID, None)),
        (chat(routing={"tradeoff": 11}), "routing.tradeoff", "expected float <= 10.0", (400, INVALID, None)),
        (chat(routing={"models": ["x*"]}), "routing.models", "matches none of", (400, INVALID, None)),
        (chat("gtp-cheap"), "model", "the nearest: cheap", (404, INVALID, "model_not_found")),
        (chat("x" * 5000), "model", "GET /v1/models lists them", (404, INVALID, "model_not_found")),
        (chat(messages=LONG), "messages", "cheap: about", (400, INVALID, "context_length_exceeded")),
        (chat(max_tokens=5000), "messages", "with 5000 for the answer", (400, INVALID, "context_length_exceeded")),
        (chat(messages=PICTURE), None, "cheap lacks vision", (400, INVALID, "no_capable_model")),
        (chat(tools=[{}]), None, "cheap lacks tools", (400, INVALID, "no_capable_model")),
        (chat(response_format={"type": "json_schema"}), None, "lacks json_schema", (400, INVALID, "no_capable_model")),
    ],
)
async def test_the_clients_errors(
    cheap: Upstream, body: object, param: str | None, message: str, row: tuple[int, str, str | None]
) -> None:
    limited = {"cheap": {"can": [], "context": 1000}}
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, models=limited)) as url,
        aiohttp.ClientSession() as session,
    ):
        for stream_too in (False, True):
            sent = {**body, "stream": stream_too} if isinstance(body, dict) else body
            got = await ask(session, url, sent)
            assert told(got) == (*row, "false")
            assert got.error["param"] == param
            assert message in got.error["message"]
            assert len(got.error["message"]) < 500
    assert not cheap.asked


async def test_who_can_is_asked(cheap: Upstream, dear: Upstream) -> None:
    """The filter comes before the price."""
    async with (
        cheap.serving() as first,
        dear.serving() as second,
        gateway(
            settings({"cheap": first, "dear": second}, models={"cheap": {"can": ["tools"], "context": 1000}})
        ) as url,
        aiohttp.ClientSession() as session,
    ):
        chosen = [
            (await ask(session, url, body)).headers["x-paretogate-model"]
            for body in (chat(), chat(tools=[{}]), chat(messages=PICTURE), chat(messages=LONG))
        ]
    assert chosen == ["cheap", "cheap", "dear", "dear"]


async def test_too_large_a_body(cheap: Upstream) -> None:
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, server={"max_body_mb": 0.01})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, b"x" * 20_000)
        assert told(got) == (413, INVALID, "request_too_large", "false")

        async def parts() -> asyncio.AsyncIterator[bytes]:  # type: ignore[name-defined]
            for _ in range(20):
                yield b"x" * 1000

        async with session.post(f"{url}/v1/chat/completions", data=parts()) as answer:
            assert answer.status == 413
        assert (await ask(session, url)).status == 200
    assert len(cheap.asked) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nowhere", 404),
        ("POST", "/v1/chat/completion", 404),
        ("POST", "/", 405),
        ("GET", "/v1/decisions/dec_unknown", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/chat/completions", 405),
        ("PUT", "/v1/models", 405),
        ("POST", "/livez", 405),
    ],
)
async def test_paths_and_methods(session: ClientSession, url: str, method: str, path: str, status: int) -> None:
    async with session.request(method, url + path) as answer:
        got = Got(answer.status, answer.headers, await answer.read())
    assert told(got) == (status, INVALID, None, "false")


async def test_an_unknown_model_in_the_list(session: ClientSession, url: str) -> None:
    async with session.get(f"{url}/v1/models/chaep") as answer:
        got = Got(answer.status, answer.headers, await answer.read())
    assert told(got) == (404, INVALID, "model_not_found", "false")
    assert "cheap" in got.error["message"]


async def test_a_route_is_no_model_for_embeddings(session: ClientSession, url: str) -> None:
    got = await ask(session, url, {"model": "auto", "input": "x"}, path="/v1/embeddings")
    assert told(got) == (400, INVALID, None, "false")
    assert "name a model" in got.error["message"]


async def test_full_until_the_deadline(cheap: Upstream) -> None:
    cheap.then(Play([STALL]))
    one: dict[str, object] = {"capacity": {"concurrency": 1}}
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, each=one, queue={"max_wait_s": 0.1})) as url,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(ask(session, url))
        await cheap.reached()
        for body in (chat(), chat("cheap"), chat(stream=True)):
            got = await ask(session, url, body)
            assert told(got) == (429, "overloaded", "no_headroom", "true")
            assert "cheap-1" in got.error["message"]
            assert int(got.headers["retry-after"]) >= 1
            assert int(got.headers["retry-after-ms"]) > 0
        first.cancel()


async def test_a_deadline_while_the_upstream_works(cheap: Upstream) -> None:
    cheap.then(Play([STALL]))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, chat(routing={"deadline_ms": 80}))
        assert told(got) == (504, "timeout_error", None, "false")
        await cheap.asked[0].gone.wait()
        assert await leases(session, url) == {"cheap-1": 0}
        cheap.then(stream(delta("a"), STALL))
        cut = await ask(session, url, chat(stream=True, routing={"deadline_ms": 80}))
        assert cut.status == 200
        assert cut.events[-1]["error"]["type"] == "timeout_error"
        assert "[DONE]" not in cut.events


@pytest.mark.parametrize(
    "play",
    [
        failed(500),
        failed(503),
        failed(408),
        whole(b"<html>busy</html>", 502, content_type="text/html"),
        whole(b"", 302, location="http://127.0.0.1:1/"),
        whole(b"<html>fine</html>", content_type="text/html"),
        whole(b""),
        whole(b"[1,2]"),
        Play([CUT]),
        Play([RESET]),
        Play([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", CUT]),
        Play([b"nonsense\r\n\r\n", CUT]),
        Play([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n", CUT]),
    ],
    ids=[
        "500", "503", "408", "html", "redirect", "html as 200", "empty", "list", "cut", "reset", "half", "garbage",
        "bad chunk",
    ],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_upstream_that_fails(cheap: Upstream, play: Play, streamed: bool) -> None:  # noqa: FBT001 - a parameter
    cheap.then(play)
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, chat(stream=streamed))
        assert told(got) == (502, "upstream_error", "upstream_failed", "false")
        assert "cheap-1" in got.error["message"]
        assert await leases(session, url) == {"cheap-1": 0}


@pytest.mark.parametrize("play", [stream(), stream(b": only comments\n\n"), stream(b"data: {", CUT)])
async def test_a_stream_that_never_begins(session: ClientSession, url: str, cheap: Upstream, play: Play) -> None:
    cheap.then(play)
    got = await ask(session, url, chat("cheap", stream=True))
    assert told(got) == (502, "upstream_error", "upstream_failed", "false")


async def test_nobody_listens(unused_tcp_port: int) -> None:
    nobody = f"http://127.0.0.1:{unused_tcp_port}/v1"
    async with gateway(settings({"cheap": nobody})) as url, aiohttp.ClientSession() as session:
        assert told(await ask(session, url)) == (502, "upstream_error", "upstream_failed", "false")
        got = await ask(session, url)  # its breaker has opened
        assert told(got) in (
            (503, "upstream_error", "no_healthy_endpoint", "true"),
            (502, "upstream_error", "upstream_failed", "false"),
        )


async def test_our_credentials_are_refused(cheap: Upstream) -> None:
    cheap.then(failed(401, "Incorrect API key provided: sk-secret-key-of-ours"))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, each={"api_key": "sk-secret-key-of-ours"})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url)
        assert told(got) == (502, "upstream_error", "upstream_credentials", "false")
        assert b"secret" not in got.body
        assert len(cheap.asked) == 1
        later = await ask(session, url)
        assert told(later) == (503, "upstream_error", "no_healthy_endpoint", "true")
        assert int(later.headers["retry-after"]) > 10
        async with session.get(f"{url}/v1/decisions/{'x'}") as _:
            pass


async def test_the_upstreams_own_limit(cheap: Upstream) -> None:
    cheap.then(failed(429, "slow down", retry_after="7"))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, queue={"max_wait_s": 0.1})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url)
        assert told(got) == (429, "overloaded", "no_headroom", "true")
        assert 1 <= int(got.headers["retry-after"]) <= 7
        assert len(cheap.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_the_upstreams_own_4xx_goes_on_unchanged(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream, status: int
) -> None:
    body = b'{"error": {"message":"bad \\u00e9", "type":"invalid_request_error","param":"x","code":null, "more":[1] }}'
    cheap.then(whole(body, status))
    for streamed in (False, True):
        got = await ask(session, url, chat(stream=streamed))
        assert (got.status, got.body) == (status, body)
        assert got.headers["x-should-retry"] == "false"
    assert len(cheap.asked) == 2
    assert not dear.asked


async def test_another_shape_is_brought_into_openais(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole(b'{"object":"error","message":"bad key sk-abcdef123456","type":"BadRequest","code":400}', 400))
    got = await ask(session, url)
    assert got.error == {"message": "bad key [removed]", "type": "BadRequest", "param": None, "code": "400"}


async def test_an_error_text_that_comes_in_pieces_is_whole(session: ClientSession, url: str, cheap: Upstream) -> None:
    body = json.dumps({"error": {"message": "x" * 5000, "type": "t", "param": None, "code": None}}).encode()
    release = asyncio.Event()
    head = b"HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    cheap.then(Play([head + body[:100], release, body[100:]]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(session, url))
        await cheap.reached()
        await leases(session, url)
        release.set()
    assert asking.result().body == body


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"message": "too long", "type": INVALID, "param": None, "code": "context_length_exceeded"}, 400, INVALID),
        ({"message": "too long", "type": "BadRequestError", "param": None, "code": 400}, 400, "BadRequestError"),
        ({"message": "down", "code": 500}, 502, "upstream_error"),
        ("overloaded", 502, "upstream_error"),
    ],
)
async def test_an_error_as_the_first_event_has_its_real_status(
    cheap: Upstream, error: object, status: int, kind: str
) -> None:
    cheap.then(stream(b": hello\n\n", b"event: error\n" + event({"error": error}), b"data: [DONE]\n\n"))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, chat(stream=True))
        assert (got.status, got.error["type"]) == (status, kind)
        assert got.headers["content-type"] == "application/json"


async def test_an_error_inside_a_whole_200(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole({"error": {"message": "bad", "type": INVALID, "code": 422}}))
    got = await ask(session, url, chat("cheap"))
    assert (got.status, got.error["code"]) == (422, "422")


async def test_every_error_is_forgotten_by_the_load(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole({"error": "x"}, 400))
    await asyncio.gather(*(ask(session, url, {"model": "cheap", "messages": HELLO}) for _ in range(20)))
    assert await leases(session, url) == {"cheap-1": 0, "dear-1": 0}
    cheap.then(whole(completion()))
    assert (await ask(session, url)).status == 200
