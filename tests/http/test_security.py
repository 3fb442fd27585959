"""Nobody outside decides where a query goes, what a header says, or reads a secret."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.app import Gateway
from tests.gateway_server import gateway, serving, settings
from tests.http.asking import ask, chat
from tests.upstream_app import DONE, delta, event, failed, stream, whole

if TYPE_CHECKING:
    from tests.upstream_app import Play, Upstream

KEY: Final = "Zx/81-upstream-secret"
PLACES: Final = ("url", "base_url", "api_base", "api_url", "endpoint", "host", "target", "proxy", "provider")
FOREIGN: Final = {
    "x-forwarded-host": "{}",
    "forwarded": "host={}",
    "x-original-url": "{}",
    "x-rewrite-url": "{}",
    "x-base-url": "{}",
    "proxy-authorization": "Basic eDp5",
    "host": "{}",
}


async def raw(url: str, request: bytes) -> bytes:
    """What comes back for these bytes, to the connection's end."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    got = b""
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            while chunk := await reader.read(65_536):
                got += chunk
    except ConnectionError:
        pass  # it hung up on bytes that it did not want to read
    finally:
        writer.close()
    return got


def post(target: str, body: bytes = b"", *lines: str) -> bytes:
    head = [f"POST {target} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


PLAIN: Final = json.dumps(chat()).encode()


async def test_no_field_of_a_body_says_where_a_query_goes(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, dear: Upstream
) -> None:
    async with dear.serving() as elsewhere:
        body = chat("cheap", **dict.fromkeys(PLACES, elsewhere), extra_body={"base_url": elsewhere})
        assert (await ask(session, url, body)).status == 200
        for name in PLACES:
            got = await ask(session, url, chat("cheap", routing={name: elsewhere}))
            assert (got.status, got.error["param"]) == (400, f"routing.{name}")
        assert (await ask(session, url, chat(elsewhere))).status == 404
    assert len(cheap.asked) == 1
    assert dear.asked == []


async def test_no_header_says_where_a_query_goes(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, dear: Upstream
) -> None:
    async with dear.serving() as elsewhere:
        headers = {name: value.format(urlsplit(elsewhere).netloc) for name, value in FOREIGN.items()}
        assert (await ask(session, url, chat("cheap"), headers=headers)).status == 200
        for name in PLACES:
            headers = {f"x-paretogate-{name.replace('_', '-')}": elsewhere}
            got = await ask(session, url, chat("cheap"), headers=headers)
            assert (got.status, got.error["param"]) == (400, f"routing.{name}")
    [asked] = cheap.asked
    assert asked.headers["host"] not in elsewhere
    assert not asked.headers.keys() & (FOREIGN.keys() - {"host"})
    assert dear.asked == []


@pytest.mark.parametrize("name", ["x-request-id", "x-paretogate-session", "x-paretogate-tags", "traceparent"])
async def test_no_control_character_of_a_header_goes_anywhere(url: str, cheap: Upstream, name: str) -> None:
    for odd in ("\r\n ", "\r", "\n", "\0", "\x1b[31m", "\x7f"):
        got = await raw(url, post("/v1/chat/completions", PLAIN, f"{name}: a={odd}set-cookie: b"))
        head = got.partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 ")
        assert b"set-cookie" not in head
        assert not set(head) & {*range(9), 11, 12, *range(14, 32), 127}
    for asked in cheap.asked:
        assert all(text.isprintable() for text in asked.headers.values())
        assert "set-cookie" not in asked.headers


async def test_no_control_character_of_a_body_reaches_a_header(
    url: str, session: aiohttp.ClientSession, cheap: Upstream
) -> None:
    odd = "a\r\nset-cookie: b\0\x7f"
    bodies = [chat(odd), chat(routing={"session": odd, "tags": {odd: odd}}), chat(routing={"models": [odd]})]
    statuses = []
    for body in bodies:
        got = await ask(session, url, body)
        statuses.append(got.status)
        assert "set-cookie" not in got.headers
        assert all(value.isprintable() for value in got.headers.values())
    assert statuses == [404, 200, 400]
    assert all("set-cookie" not in asked.headers for asked in cheap.asked)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models/../../metrics",
        "/v1/models/%2e%2e/%2e%2e/metrics",
        "/v1/models/..%2f..%2fmetrics",
        "/v1/../metrics",
        "/v1/chat/completions/../../../metrics",
        "/v1/chat/completions/",
        "/v1/chat%2fcompletions",
        "/v1%2Fchat%2Fcompletions",
        "/v1/%63hat/completions%00",
        "//v1/chat/completions",
        "//127.0.0.1:1/v1/chat/completions",
        "/v1/v1/chat/completions",
        "/v1;/chat/completions",
        "/V1/chat/completions",
        "/http://127.0.0.1:1/v1/chat/completions",
        "*",
        "127.0.0.1:1",
        "chat/completions",
    ],
)
async def test_a_path_is_one_that_there_is_or_none(url: str, cheap: Upstream, dear: Upstream, target: str) -> None:
    for method in (b"POST", b"GET"):
        got = await raw(url, post(target, PLAIN).replace(b"POST", method, 1))
        assert got.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ", b"HTTP/1.1 405 "))
        assert b"paretogate_queries_total" not in got
    assert cheap.asked == dear.asked == []


async def test_we_are_no_proxy(url: str, cheap: Upstream, dear: Upstream) -> None:
    """A whole URL as target is what a server must take (RFC 9112, 3.2.2): its path is ours, its host is nobody's."""
    async with dear.serving() as elsewhere:
        host = urlsplit(elsewhere).netloc
        assert (await raw(url, post(f"http://{host}/v1/models", PLAIN))).startswith(b"HTTP/1.1 405 ")
        assert (await raw(url, post(f"http://{host}/elsewhere", PLAIN))).startswith(b"HTTP/1.1 404 ")
        assert (await raw(url, post(f"http://{host}/v1/chat/completions", PLAIN))).startswith(b"HTTP/1.1 200 ")
        tunnel = f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        assert (await raw(url, tunnel)).startswith(b"HTTP/1.1 4")
    assert len(cheap.asked) == 1
    assert dear.asked == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/v1/chat/completions", PLAIN, "x-long: " + "x" * 2_000_000),
        post("/v1/chat/completions", PLAIN, *[f"x-{number}: {'x' * 100}" for number in range(20_000)]),
        post("/v1/chat/completions?" + "x" * 2_000_000, PLAIN),
    ],
    ids=["one header", "many headers", "the target"],
)
async def test_an_endless_head_is_not_read(
    url: str, session: aiohttp.ClientSession, cheap: Upstream, request_bytes: bytes
) -> None:
    got = await raw(url, request_bytes)
    assert got == b"" or got.startswith(b"HTTP/1.1 431 ")
    assert cheap.asked == []
    assert (await ask(session, url)).status == 200


def error_in(shape: dict[str, object]) -> dict[str, object]:
    return {"error": {"message": f"got Bearer {KEY}", "type": "invalid_request_error", "param": None, **shape}}


ECHOES: Final[dict[str, Play]] = {
    "rejected": whole(error_in({"code": KEY}), 400, x_debug=f"Bearer {KEY}"),
    "rejected, slashes escaped": whole(json.dumps(error_in({"code": KEY})).replace("/", "\\/").encode(), 400),
    "refused": whole(error_in({"code": KEY}), 401),
    "busy": failed(429, f"{KEY} is over its limit"),
    "broken": whole(f"<html>Authorization: {KEY}</html>".encode(), 500),
    "inside a 200": whole(error_in({"code": None})),
    "first event": stream(event(error_in({"code": None})), DONE),
    "later event": stream(delta("a"), event(error_in({"code": KEY}))),
    "header": whole({"choices": []}, x_debug=f"Bearer {KEY}"),
}


@pytest.mark.parametrize("play", ECHOES.values(), ids=ECHOES)
async def test_our_key_comes_back_in_no_error(
    cheap: Upstream, play: Play, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cheap.then(play)
    async with cheap.serving() as upstream, aiohttp.ClientSession() as session:
        its = settings({"cheap": upstream}, each={"api_key": KEY}, telemetry={"decisions": True})
        async with gateway(its) as url:
            got = await ask(session, url, chat("cheap", stream=True, routing={"explain": True}))
            shown = [f"{dict(got.headers)}{got.body.decode()}"]
            for path in ("/v1/decisions", "/metrics", "/overview", "/v1/models"):
                async with session.get(url + path) as answer:
                    assert answer.status == 200
                    shown.append(await answer.text())
    assert cheap.asked[0].headers["authorization"] == f"Bearer {KEY}"
    logged = capfd.readouterr()
    for text in (*shown, logged.out, logged.err, caplog.text):
        assert KEY not in text.replace("\\/", "/")


async def test_what_is_no_secret_is_left_as_it_was(cheap: Upstream) -> None:
    """`EMPTY` and `ollama` are what people give servers that want no key."""
    cheap.then(failed(400, "ollama has no such model"))
    async with (
        cheap.serving() as upstream,
        aiohttp.ClientSession() as session,
        gateway(settings({"cheap": upstream}, each={"api_key": "ollama"})) as url,
    ):
        got = await ask(session, url)
    assert got.error["message"] == "ollama has no such model"


async def test_a_password_in_an_url_is_shown_nowhere(
    cheap: Upstream, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    cheap.then(failed(500, "no, anna:hidden-word"))
    async with cheap.serving() as upstream, aiohttp.ClientSession() as session:
        address = upstream.replace("//", "//anna:hidden-word@")
        its = settings({"cheap": address, "gone": "http://anna:hidden-word@127.0.0.1:1/v1"}, each={"kind": "vllm"})
        service = Gateway(its)
        shown = [repr(its), repr(service.fleet.endpoints)]
        async with serving(service) as url:
            for body in (chat("cheap", routing={"explain": True}), chat("gone", routing={"explain": True})):
                got = await ask(session, url, body)
                shown.append(f"{dict(got.headers)}{got.body.decode()}")
            for path in ("/v1/decisions", "/metrics", "/overview", "/v1/models", "/openapi.json"):
                async with session.get(url + path) as answer:
                    shown.append(await answer.text())
    assert cheap.asked[0].headers["authorization"] == "Basic YW5uYTpoaWRkZW4td29yZA=="
    logged = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    for text in (*shown, logged.out, logged.err, *ours):
        assert "hidden-word" not in text
