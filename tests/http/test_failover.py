"""Another endpoint is asked before the first byte, and never after it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.gateway_server import gateway, leases, settings
from tests.http.asking import ask, chat
from tests.upstream_app import (
    CUT,
    DONE,
    RESET,
    STALL,
    Play,
    Upstream,
    completion,
    delta,
    event,
    failed,
    plain_stream,
    stream,
    usage_event,
    whole,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.upstream_app import Step

IDLE = {"cheap-1": 0, "dear-1": 0}
BROKEN = {"message": "broke", "type": "server_error", "code": None}


@pytest.mark.parametrize(
    "play",
    [
        failed(500),
        failed(401),
        failed(403),
        failed(429),
        Play([RESET]),
        whole(b"<html>"),
        stream(event({"error": BROKEN})),
        stream(b": hm\n\n", b"data: {", CUT),
        stream(delta("one") + event({"error": BROKEN})),  # in one packet: nothing has been sent on yet
    ],
    ids=["500", "401", "403", "429", "reset", "garbage", "error event", "cut event", "content and error at once"],
)
async def test_the_next_best_model_answers(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream, play: Play
) -> None:
    cheap.then(play)
    dear.then(plain_stream("saved"))
    got = await ask(session, url, chat(stream=True))
    assert got.status == 200
    assert got.headers["x-paretogate-model"] == "dear"
    assert got.body == delta("saved") + delta(finish="stop") + DONE
    assert (len(cheap.asked), len(dear.asked)) == (1, 1)
    assert await leases(session, url) == IDLE
    async with session.get(f"{url}/v1/decisions/{got.headers['x-paretogate-decision']}") as answer:
        attempts = (await answer.json())["attempts"]
    assert [each["endpoint"] for each in attempts] == ["cheap-1", "dear-1"]
    assert attempts[0]["result"] != "answered"


async def test_a_silent_upstream_is_left_before_the_first_byte(cheap: Upstream, dear: Upstream) -> None:
    cheap.then(Play([STALL]))
    async with (
        cheap.serving() as first,
        dear.serving() as second,
        gateway(
            settings({"cheap": first, "dear": second}, each={"timeout": {"first_byte": 0.1}}, queue={"max_wait_s": 0.1})
        ) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, chat(stream=True))
        assert (got.status, got.headers["x-paretogate-model"]) == (200, "dear")
        await cheap.asked[0].gone.wait()


async def test_an_answer_that_is_not_streamed_has_the_total_time_for_its_first_byte(cheap: Upstream) -> None:
    finished = asyncio.Event()
    body = completion()
    cheap.then(Play([finished, *whole(body).steps]))
    each: dict[str, object] = {"timeout": {"first_byte": 0.001, "total": 30}}
    async with (
        cheap.serving() as first,
        gateway(settings({"cheap": first}, each=each)) as url,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as group,
    ):
        asking = group.create_task(ask(session, url))
        await cheap.reached()
        streamed = await ask(session, url, chat(stream=True))  # fails meanwhile: its first byte is awaited too
        assert streamed.status == 502
        finished.set()
        assert (await asking).json == body


async def test_a_stall_inside_a_whole_answer_goes_elsewhere(cheap: Upstream, dear: Upstream) -> None:
    [told] = whole(completion()).steps
    assert isinstance(told, bytes)
    cheap.then(Play([told[:-5], STALL]))
    async with (
        cheap.serving() as first,
        dear.serving() as second,
        gateway(settings({"cheap": first, "dear": second}, each={"timeout": {"idle": 0.1}})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url)
        assert (got.status, got.headers["x-paretogate-model"]) == (200, "dear")


@pytest.mark.parametrize("before", [b"", delta("one")], ids=["first", "later"])
async def test_half_a_character_is_no_text(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream, before: bytes
) -> None:
    sent = asyncio.Event()
    half = delta("caf?").replace(b"?", b"\xc3")
    cheap.then(stream(before, sent, half, delta(finish="stop"), DONE) if before else stream(half, DONE))
    dear.then(plain_stream("saved"))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(session, url, chat(stream=True)))
        await cheap.reached()
        sent.set()
    got = asking.result()
    if before:
        assert got.events[0] == json.loads(before.removeprefix(b"data: "))
        assert got.events[1]["error"]["code"] == "upstream_failed"
        assert len(got.events) == 2
    else:
        assert got.headers["x-paretogate-model"] == "dear"
    cheap.then(whole(json.dumps(completion("caf?")).encode().replace(b"?", b"\xc3")))
    dear.then(whole(completion("saved")))
    got = await ask(session, url)
    assert got.headers["x-paretogate-model"] == "dear"


async def test_an_error_event_with_a_number_for_a_code_has_a_string(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    sent = asyncio.Event()
    cheap.then(stream(delta("one"), sent, event({"error": {"message": "died", "type": "Dead", "code": 500}})))
    async with session.post(f"{url}/v1/chat/completions", json=chat(stream=True)) as answer:
        first = await answer.content.readuntil(b"\n\n")
        assert first == delta("one")
        sent.set()
        rest = await answer.read()
    assert json.loads(rest.removeprefix(b"data: ")) == {
        "error": {"message": "died", "type": "Dead", "param": None, "code": "500"}
    }


async def test_another_endpoint_of_the_same_model_comes_first(cheap: Upstream, dear: Upstream) -> None:
    twin = Upstream()
    cheap.then(failed(500))
    twin.then(failed(500), whole(completion()))
    async with cheap.serving() as first, twin.serving() as second, dear.serving() as third:
        endpoints = [
            {"name": "cheap-1", "model": "cheap", "url": first},
            {"name": "cheap-2", "model": "cheap", "url": second},
            {"name": "dear-1", "model": "dear", "url": third},
        ]
        its = settings({"cheap": first, "dear": third}, endpoints=endpoints)
        async with gateway(its) as url, aiohttp.ClientSession() as session:
            got = await ask(session, url)
            assert got.headers["x-paretogate-model"] == "dear"
            assert (len(cheap.asked), len(twin.asked)) == (1, 1)
            pinned = await ask(session, url, chat("cheap"))
            assert pinned.headers["x-paretogate-model"] == "cheap"
    assert len(dear.asked) == 1


async def test_a_clients_error_is_not_tried_elsewhere(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream
) -> None:
    cheap.then(failed(422))
    assert (await ask(session, url)).status == 422
    assert (len(cheap.asked), len(dear.asked)) == (1, 0)


@pytest.mark.parametrize("ending", [[CUT], [RESET], []], ids=["cut", "reset", "plain end"])
async def test_a_stream_that_breaks_off_is_told_so(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream, ending: list[Step]
) -> None:
    released = asyncio.Event()
    steps: list[Step] = [delta("one"), released, delta("two") + b'data: {"choices":[{"del']
    cheap.then(stream(*steps, *ending))
    first = delta("one")
    async with session.post(f"{url}/v1/chat/completions", json=chat(stream=True)) as answer:
        assert await answer.content.readexactly(len(first)) == first
        released.set()
        rest = await answer.content.read()
    whole_events, _, error = rest.rpartition(b"data: ")
    assert whole_events in (delta("two"), b"")  # a reset may overtake what was sent before it
    assert b'"upstream_failed"' in error
    assert b"cheap-1" in error
    assert b"[DONE]" not in rest
    assert not dear.asked
    assert await leases(session, url) == IDLE
    name = answer.headers["x-paretogate-decision"]
    async with session.get(f"{url}/v1/decisions/{name}") as found:
        told = await found.json()
    assert told["outcome"] == "cut"
    assert told["actual"]["estimated"]


async def test_a_plain_end_in_the_middle_is_no_end(session: ClientSession, url: str, cheap: Upstream) -> None:
    """Without chunked encoding a cut looks like an end."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    cheap.then(Play([head + delta("one"), CUT]))
    got = await ask(session, url, chat(stream=True))
    assert got.events[0]["choices"][0]["delta"] == {"content": "one"}
    assert got.events[-1]["error"]["code"] == "upstream_failed"


async def test_an_end_without_marker_is_one_when_the_choice_has_ended(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    cheap.then(stream(delta("one"), delta(finish="stop")))
    got = await ask(session, url, chat(stream=True))
    assert got.body == delta("one") + delta(finish="stop")


async def test_the_upstreams_own_error_event_is_passed_on_once(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream
) -> None:
    released = asyncio.Event()
    error = event({"error": BROKEN})
    cheap.then(stream(delta("one"), released, error + delta("never") + usage_event() + DONE))
    async with session.post(f"{url}/v1/chat/completions", json=chat(stream=True)) as answer:
        await answer.content.readexactly(len(delta("one")))
        released.set()
        assert await answer.content.read() == error
    assert not dear.asked
    assert await leases(session, url) == IDLE


async def test_a_stream_that_falls_silent_is_ended(cheap: Upstream) -> None:
    cheap.then(stream(delta("one"), STALL))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream}, each={"timeout": {"idle": 0.1}})) as url,
        aiohttp.ClientSession() as session,
    ):
        got = await ask(session, url, chat(stream=True))
        assert "fell silent" in got.events[-1]["error"]["message"]
        await cheap.asked[0].gone.wait()
        assert await leases(session, url) == {"cheap-1": 0}


async def test_a_busy_endpoint_is_left_alone_for_as_long_as_it_asked(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream
) -> None:
    cheap.then(failed(429, retry_after="60"), whole(completion()))
    chosen = [(await ask(session, url)).headers["x-paretogate-model"] for _ in range(4)]
    assert chosen == ["dear"] * 4
    assert (len(cheap.asked), len(dear.asked)) == (1, 4)


async def test_a_busy_endpoint_comes_back_when_it_said(cheap: Upstream) -> None:
    cheap.then(failed(429, retry_after_ms="60"), whole(completion()))
    async with (
        cheap.serving() as upstream,
        gateway(settings({"cheap": upstream})) as url,
        aiohttp.ClientSession() as session,
    ):
        assert (await ask(session, url)).status == 200  # it waited
    assert len(cheap.asked) == 2


async def test_a_broken_endpoint_is_not_asked_again(
    session: ClientSession, url: str, cheap: Upstream, dear: Upstream
) -> None:
    cheap.then(failed(500))
    for _ in range(8):
        assert (await ask(session, url)).headers["x-paretogate-model"] == "dear"
    assert len(cheap.asked) <= 4  # then its breaker had opened
    assert len(dear.asked) == 8


async def test_connections_are_kept(session: ClientSession, url: str, cheap: Upstream) -> None:
    for play in (whole(completion()), plain_stream(), failed(400), stream(delta("a"), delta(finish="stop"), DONE)):
        cheap.then(play)
        await ask(session, url, chat(stream=True))
        await ask(session, url, chat())
    assert len(cheap.asked) == 8
    # an answer in events to who asked for a whole one is given up in the middle
    assert cheap.connections <= 3
