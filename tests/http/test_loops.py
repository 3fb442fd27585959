"""A model is not switched between a tool call and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.core.loops import Loops
from gateway.domain import Preferences, Query
from tests.gateway_server import gateway, settings
from tests.http.asking import HELLO, ask, chat
from tests.upstream_app import DONE, Play, Upstream, completion, delta, event, stream, whole

if TYPE_CHECKING:
    from aiohttp import ClientSession

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = [*HELLO, CALLED, {"role": "tool", "tool_call_id": "call_1", "content": "42"}]
WHOLE = whole(completion(choices=[{"index": 0, "message": CALLED, "finish_reason": "tool_calls"}]))
CHUNK = event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **CALL}]}}]})
DEAR = {"models": ["dear"]}


@pytest.mark.parametrize("play", [WHOLE, stream(CHUNK, delta(finish="tool_calls"), DONE)], ids=["whole", "streamed"])
async def test_the_caller_reads_the_result(session: ClientSession, url: str, dear: Upstream, play: Play) -> None:
    dear.then(play, whole(completion()))
    called = await ask(session, url, chat(routing=DEAR, stream=play is not WHOLE))
    assert called.headers["x-paretogate-model"] == "dear"
    assert (await ask(session, url, chat(messages=RESULT))).headers["x-paretogate-model"] == "dear"
    after = [*RESULT, {"role": "assistant", "content": "42"}, *HELLO]
    assert (await ask(session, url, chat(messages=after))).headers["x-paretogate-model"] == "cheap"


async def test_a_call_that_nobody_saw_is_free(session: ClientSession, url: str) -> None:
    assert (await ask(session, url, chat(messages=RESULT))).headers["x-paretogate-model"] == "cheap"


async def test_a_response_goes_on_where_it_is_kept(session: ClientSession, url: str, dear: Upstream) -> None:
    dear.then(whole({"id": "resp_1", "object": "response", "output": []}))
    path = "/v1/responses"
    await ask(session, url, {"model": "auto", "input": "hi", "routing": DEAR}, path=path)
    more = {"model": "auto", "input": "and?", "previous_response_id": "resp_1"}
    assert (await ask(session, url, more, path=path)).headers["x-paretogate-model"] == "dear"


def query(*continues: str, session: str | None = None) -> Query:
    return Query(id="q", target="auto", messages=b"[]", continues=continues, preferences=Preferences(session=session))


def test_a_session_finds_its_model_without_known_ids() -> None:
    loops = Loops()
    loops.remember(query(session="s"), ["call_0"], "dear")
    assert loops.model_of(query("other", session="s")) == "dear"
    assert loops.model_of(query("call_0", session="t")) is None
    assert loops.model_of(query(session="s")) is None


def test_the_longest_unused_is_forgotten() -> None:
    loops = Loops(2)
    loops.remember(query(), ["a", "b"], "one")
    assert loops.model_of(query("a")) == "one"
    loops.remember(query(), ["c"], "two")
    assert [loops.model_of(query(each)) for each in "abc"] == ["one", None, "two"]


async def test_another_replica_knows_the_caller(cheap: Upstream, dear: Upstream, redis_url: str) -> None:
    dear.then(WHOLE, whole(completion()))
    async with cheap.serving() as first, dear.serving() as second:
        its = settings({"cheap": first, "dear": second}, load={"redis": redis_url})
        async with gateway(its) as one, gateway(its) as two, aiohttp.ClientSession() as session:
            await ask(session, one, chat(routing=DEAR))
            assert (await ask(session, two, chat(messages=RESULT))).headers["x-paretogate-model"] == "dear"
