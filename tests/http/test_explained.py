"""`explain`: the decision travels in the answer, and the parts of the overhead sum to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.http.asking import Got, ask, chat
from tests.upstream_app import DONE, Upstream, completion, delta, event, stream, whole

if TYPE_CHECKING:
    from aiohttp import ClientSession

WHY = {"explain": True}


def parts(got: Got) -> dict[str, float]:
    """Milliseconds, from the standard header."""
    timing = got.headers["server-timing"].split(", ")
    return {name: float(value) for name, value in (each.split(";dur=") for each in timing)}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("auto", {"parse", "window", "predict", "assign", "reserve", "connect"}),
        ("cheap", {"parse", "reserve", "connect"}),
    ],
)
async def test_the_parts_sum_to_the_whole(session: ClientSession, url: str, model: str, expected: set[str]) -> None:
    got = await ask(session, url, chat(model, routing=WHY))
    told = parts(got)
    assert set(told) == expected
    total = float(got.headers["x-paretogate-overhead-ms"])
    assert sum(told.values()) == pytest.approx(total, rel=0.01)
    assert got.json["routing"]["overhead_ms"] == pytest.approx(total, rel=0.01)


async def test_a_whole_answer_carries_the_decision(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole(b' {"id":"c1","choices":[]}\r\n '))
    got = await ask(session, url, chat(routing=WHY))
    assert got.body.startswith(b' {"id":"c1","choices":[],"routing":{')
    routing = got.json["routing"]
    assert routing["id"] == got.headers["x-paretogate-decision"]
    assert (routing["model"], routing["endpoint"], routing["target"]) == ("cheap", "cheap-1", "auto")
    assert {each["model"] for each in routing["estimates"]} == {"cheap", "dear"}
    assert int(got.headers["content-length"]) == len(got.body)
    assert "routing" not in cheap.asked[0].json


async def test_an_empty_object_stays_json(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(whole(b"{ }"))
    assert list((await ask(session, url, chat(routing=WHY))).json) == ["routing"]


async def test_nobody_else_gets_it(session: ClientSession, url: str) -> None:
    got = await ask(session, url)
    assert got.json == completion()
    assert "server-timing" not in got.headers


async def test_the_last_chunk_of_a_stream_carries_the_decision(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    tricky = delta("\ndata: [DONE]\n\n")
    cheap.then(stream(tricky, delta(finish="stop"), DONE))
    got = await ask(session, url, chat(stream=True, routing=WHY))
    assert got.body.startswith(tricky + delta(finish="stop") + b'data: {"id":"dec_')
    assert got.body.endswith(DONE)
    last = got.events[-2]
    assert last["object"] == "chat.completion.chunk"
    assert last["choices"] == []
    assert last["routing"]["endpoint"] == "cheap-1"
    assert len(got.events) == 4


async def test_a_marker_in_the_same_packet_is_found(session: ClientSession, url: str, cheap: Upstream) -> None:
    cheap.then(stream(delta("a"), delta(finish="stop") + DONE))
    got = await ask(session, url, chat(stream=True, routing=WHY))
    assert [("routing" in each, each == "[DONE]") for each in got.events] == [
        (False, False),
        (False, False),
        (True, False),
        (False, True),
    ]


async def test_a_stream_of_a_response_has_it_in_its_last_event(
    session: ClientSession, url: str, cheap: Upstream
) -> None:
    created = b"event: response.created\n" + event({"type": "response.created", "response": {"error": None}})
    completed = b"event: response.completed\n" + event({"type": "response.completed", "response": {"id": "r"}})
    cheap.then(stream(created, completed))
    got = await ask(
        session, url, {"model": "auto", "input": "hi", "stream": True, "routing": WHY}, path="/v1/responses"
    )
    assert got.body.startswith(created + b"event: response.completed\ndata: {")
    assert [each["type"] for each in got.events] == ["response.created", "response.completed"]
    assert got.events[1]["routing"]["model"] == "cheap"
    assert got.events[1]["response"] == {"id": "r"}


async def test_the_decision_can_be_asked_for_afterwards(session: ClientSession, url: str) -> None:
    got = await ask(session, url, headers={"x-paretogate-tags": "team=search"})
    async with session.get(f"{url}/v1/decisions/{got.headers['x-paretogate-decision']}") as answer:
        found = json.loads(await answer.read())
    assert found["outcome"] == "served"
    assert found["tags"] == {"team": "search"}
    assert found["attempts"] == [{"endpoint": "cheap-1", "result": "answered", "message": ""}]
    assert b"hello" not in json.dumps(found).encode()
