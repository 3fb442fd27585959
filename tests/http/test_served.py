"""A query through the real server: what the client gets back, byte by byte and header by header."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.gateway_server import gateway, leases, settings
from tests.http.asking import ask, chat
from tests.upstream_app import (
    DONE,
    USAGE,
    Play,
    Upstream,
    completion,
    delta,
    event,
    plain_stream,
    stream,
    usage_event,
    whole,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession

DECISION = re.compile(r"dec_[0-9a-f]{24}")
OURS = {"decision", "model", "endpoint", "cost-usd", "quality", "overhead-ms"}
STREAM = chat(stream=True)


async def test_a_whole_answer(session: ClientSession, url: str, cheap: Upstream, dear: Upstream) -> None:
    body = json.dumps(completion("grüße")).encode()
    cheap.then(whole(body, openai_version="2020-10-01"))
    got = await ask(session, url)
    assert (got.status, got.body) == (200, body)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["openai-version"] == "2020-10-01"
    assert got.headers["x-paretogate-model"] == "cheap"
    assert got.headers["x-paretogate-endpoint"] == "cheap-1"
    assert DECISION.fullmatch(got.headers["x-paretogate-decision"])
    assert float(got.headers["x-paretogate-cost-usd"]) == pytest.approx(14e-6)  # the bill, not the guess
    assert {name for name in got.headers if name.startswith("x-paretogate-")} == {f"x-paretogate-{n}" for n in OURS}
    assert cheap.asked[0].json == {**chat(), "model": "cheap"}
    assert not dear.asked
    assert await leases(session, url) == {"cheap-1": 0, "dear-1": 0}


async def test_a_stream(session: ClientSession, url: str, cheap: Upstream) -> None:
    role = event({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}], "usage": None})
    cheap.then(stream(b": hi\n\n" + role, delta("gr\u00fc\u00dfe"), delta(finish="stop"), usage_event(), DONE))
    got = await ask(session, url, STREAM)
    assert got.status == 200
    assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert got.headers["cache-control"] == "no-cache"
    assert got.headers["x-accel-buffering"] == "no"
    assert got.headers["x-paretogate-model"] == "cheap"
    assert "content-encoding" not in got.headers
    expected = (
        b": hi\n\n" + role.replace(b', "usage": null', b"") + delta("gr\u00fc\u00dfe") + delta(finish="stop") + DONE
    )
    assert got.body == expected
    assert cheap.asked[0].json["stream_options"] == {"include_usage": True}
    assert await leases(session, url) == {"cheap-1": 0, "dear-1": 0}


async def test_what_came_packed_though_nobody_asked_for_that(session: ClientSession, url: str, cheap: Upstream) -> None:
    body = json.dumps(completion("grüße " * 100_000)).encode()
    cheap.then(whole(gzip.compress(body), content_encoding="gzip"))
    got = await ask(session, url)
    assert (got.status, got.body == body) == (200, True)
    assert "content-encoding" not in got.headers


async def test_a_packed_stream(session: ClientSession, url: str, cheap: Upstream) -> None:
    packing, events = zlib.compressobj(wbits=31), [delta("gr\u00fc\u00dfe"), delta(finish="stop"), DONE]
    steps = [packing.compress(each) + packing.flush(zlib.Z_SYNC_FLUSH) for each in events]
    cheap.then(stream(*steps, packing.flush(), content_encoding="gzip"))
    got = await ask(session, url, STREAM)
    assert (got.status, got.body) == (200, b"".join(events))


@pytest.mark.parametrize("packed", [b"plain", gzip.compress(json.dumps(completion()).encode())[:-9]])
async def test_what_cannot_be_unpacked(session: ClientSession, url: str, cheap: Upstream, packed: bytes) -> None:
    cheap.then(whole(packed, content_encoding="gzip"))
    got = await ask(session, url, chat(model="cheap"))
    assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "upstream_failed")


async def test_a_packed_error_without_a_body(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole(b"", 400, content_encoding="gzip"))
    assert (await ask(session, url, chat(model="cheap"))).status == 400


async def test_usage_comes_to_who_asked_for_it(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(stream(delta("a", usage=None), usage_event(), DONE))
    got = await ask(session, url, chat(stream=True, stream_options={"include_usage": True}))
    assert got.body == delta("a", usage=None) + usage_event() + DONE


async def test_usage_that_nobody_asked_for_is_counted_all_the_same(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    cheap.then(plain_stream())
    got = await ask(session, url, STREAM)
    assert not any("usage" in each for each in got.events[:-1])
    actual = await decision(session, url, got.headers["x-paretogate-decision"])
    assert actual["actual"]["output_tokens"] == USAGE["completion_tokens"]
    assert not actual["actual"]["estimated"]


async def test_usage_that_the_upstream_keeps_to_itself_is_estimated(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    cheap.then(stream(delta("a"), delta("b"), delta("c"), delta(finish="stop"), DONE))
    got = await ask(session, url, STREAM)
    actual = (await decision(session, url, got.headers["x-paretogate-decision"]))["actual"]
    assert actual["estimated"]
    assert actual["output_tokens"] >= 3


async def decision(session: ClientSession, url: str, name: str) -> dict[str, Any]:
    async with session.get(f"{url}/v1/decisions/{name}") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def test_chunks_go_on_as_they_come(session: ClientSession, url: str, cheap: Upstream) -> None:
    more = asyncio.Event()
    first = delta("one")
    cheap.then(stream(first + b'data: {"choi', more, b'ces":[]}\n\n', DONE))
    async with session.post(f"{url}/v1/chat/completions", json=STREAM) as answer:
        assert await answer.content.readexactly(len(first)) == first  # before the rest exists
        more.set()
        assert await answer.content.read() == b'data: {"choices":[]}\n\n' + DONE


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123_x.y:z", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("two words", False),
        ("semi;colon", False),
    ],
)
async def test_a_sane_request_id_is_kept(session: ClientSession, url: str, sent: str, kept: bool) -> None:  # noqa: FBT001
    for path in ("/v1/chat/completions", "/v1/nowhere"):
        got = await ask(session, url, path=path, headers={"x-request-id": sent})
        answered = got.headers["x-request-id"]
        assert (answered == sent) is kept
        assert kept or re.fullmatch(r"req_[0-9a-f]{24}", answered)


async def test_every_answer_has_a_request_id(session: ClientSession, url: str) -> None:
    for path in ("/v1/models", "/livez", "/readyz", "/metrics", "/v1/decisions/dec_0", "/openapi.json"):
        async with session.get(url + path, headers={"x-request-id": "mine"}) as answer:
            assert answer.headers.getall("x-request-id") == ["mine"]


async def test_what_goes_to_the_upstream_and_what_comes_back(cheap: Upstream) -> None:
    cheap.then(
        whole(
            completion(),
            server="up",
            set_cookie="a=b",
            date="today",
            x_request_id="theirs",
            x_ratelimit_remaining_tokens="5",
            x_paretogate_model="forged",
            connection="keep-alive, x-hop",
            x_hop="1",
            openai_processing_ms="12",
        )
    )
    sent = {
        "authorization": "Bearer sk-theirs",
        "cookie": "c=d",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "openai-beta": "assistants=v2",
        "accept": "application/json",
        "x-forwarded-for": "10.0.0.1",
        "x-paretogate-session": "s",
    }
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, each={"api_key": "sk-ours"})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, headers=sent)
    asked = cheap.asked[0].headers
    assert asked["authorization"] == "Bearer sk-ours"
    assert asked["traceparent"] == sent["traceparent"]
    assert asked["openai-beta"] == "assistants=v2"
    assert set(asked) == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "authorization",
        "traceparent",
        "openai-beta",
    }
    assert got.headers["openai-processing-ms"] == "12"
    assert got.headers.getall("x-paretogate-model") == ["cheap"]
    assert got.headers["x-request-id"].startswith("req_")
    dropped = ("server", "set-cookie", "date", "x-ratelimit-remaining-tokens", "connection", "x-hop")
    assert not set(dropped) & {name.lower() for name in got.headers}


async def test_a_named_model_is_not_weighed(session: ClientSession, url: str, cheap: Upstream, dear: Upstream) -> None:
    got = await ask(session, url, chat("dear"))
    assert got.headers["x-paretogate-model"] == "dear"
    assert dear.asked[0].json["model"] == "dear"
    assert not cheap.asked


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_paths_work_with_and_without_version(session: ClientSession, url: str, prefix: str) -> None:
    assert (await ask(session, url, path=f"{prefix}/chat/completions")).status == 200
    async with session.get(f"{url}{prefix}/models") as answer:
        assert [each["id"] for each in (await answer.json())["data"]] == ["auto", "cheap", "dear"]


async def test_pings_keep_a_waiting_stream_alive(cheap: Upstream) -> None:
    answered = asyncio.Event()
    cheap.then(Play([answered, *plain_stream("late").steps]))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, server={"ping_s": 0.02})) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=STREAM) as answer,
    ):
        assert answer.status == 200
        assert await answer.content.readexactly(16) == b": ping\n\n: ping\n\n"
        answered.set()
        rest = (await answer.content.read()).replace(b": ping\n\n", b"")
        assert rest == delta("late") + delta(finish="stop") + DONE


async def test_a_failure_after_a_ping_is_told_inside_the_stream(cheap: Upstream) -> None:
    answered = asyncio.Event()
    cheap.then(Play([answered, *whole({"error": {"message": "bad", "type": "t"}}, 400).steps]))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, server={"ping_s": 0.02})) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=STREAM) as answer,
    ):
        assert answer.status == 200
        answered.set()
        rest = (await answer.content.read()).replace(b": ping\n\n", b"")
        assert rest == b'data: {"error": {"message": "bad", "type": "t"}}\n\n'


async def test_other_requests_are_not_pinged(cheap: Upstream) -> None:
    answered = asyncio.Event()
    cheap.then(Play([answered, *whole(completion()).steps]))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, server={"ping_s": 0.005})) as url,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as group,
    ):
        asking = group.create_task(ask(session, url))
        await cheap.reached()
        for _ in range(5):
            await leases(session, url)
        answered.set()
        got = await asking
        assert got.json == completion()
