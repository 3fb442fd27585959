"""The replay upstream on real sockets, read with the OpenAI SDK where a client would be."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from openai import AsyncOpenAI

from gateway.cli.replay_upstream import command, slots_of
from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import Asked, PoolAnswers
from gateway.lab.replay_pace import Pace
from predictors.pool import read_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from predictors.pool import Pool

SMALL, LARGE = "tiny/one", "large"
QUESTION = "How much is 2 and 2?"


def asking(text: str = QUESTION, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
    return {"model": SMALL, "messages": [{"role": "user", "content": text}], **more}


def arrived(count: int, stats: dict[str, Any]) -> bool:
    return bool(stats["taken"] + stats["rejected"] == count)


@pytest.fixture
async def client(small: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=small, api_key="none", max_retries=0) as opened:
        yield opened


async def test_an_answer_has_the_recorded_length_usage_and_score(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(**asking())
    answer = raw.parse()
    assert raw.headers["x-replay-score"] == "1.0"
    assert raw.headers["x-replay-query"] == "q2"
    assert len(answer.choices[0].message.content or "") == 30 * 4
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 30, 41)
    assert answer.model == SMALL


async def test_a_stream_carries_the_same_text_and_ends_with_usage(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(**asking())
    stream = await client.chat.completions.create(**asking(stream=True, stream_options={"include_usage": True}))
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_a_stream_tells_no_usage_unless_asked_and_ends_with_done(
    small: str, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"{small}/chat/completions", json=asking(stream=True)) as reply:
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["x-replay-score"] == "1.0"
        events = (await reply.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert not any("usage" in each for each in events)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_max_tokens_cuts_the_answer(client: AsyncOpenAI, field: str) -> None:
    limit: dict[str, Any] = {field: 5}
    answer = await client.chat.completions.create(**asking(**limit))
    assert answer.choices[0].finish_reason == "length"
    assert len(answer.choices[0].message.content or "") == 5 * 4
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_the_whole_conversation_finds_the_row_and_so_does_its_last_message(client: AsyncOpenAI) -> None:
    for messages in (
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And then?"}],
        [{"role": "user", "content": [{"type": "text", "text": "And then?"}]}],
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "y"},
            {"role": "user", "content": QUESTION},
        ],
    ):
        body: dict[str, Any] = {"model": SMALL, "messages": messages}
        raw = await client.chat.completions.with_raw_response.create(**body)
        assert raw.headers["x-replay-query"] == ("q2" if len(messages) == 3 else "q8")


async def test_an_unknown_question_is_answered_without_a_score_and_the_same_each_time(client: AsyncOpenAI) -> None:
    raws = [await client.chat.completions.with_raw_response.create(**asking("Never seen.")) for _ in range(2)]
    assert "x-replay-score" not in raws[0].headers
    assert "x-replay-query" not in raws[0].headers
    assert raws[0].content == raws[1].content


async def test_a_model_that_never_answered_the_question_has_no_score(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(**asking("Who knows?"))
    assert raw.headers["x-replay-query"] == "q9"
    assert "x-replay-score" not in raw.headers


async def test_the_other_paths_answer_in_their_own_shapes(client: AsyncOpenAI) -> None:
    completion = await client.completions.create(model=SMALL, prompt=QUESTION)
    assert len(completion.choices[0].text) == 30 * 4
    assert [model.id async for model in client.models.list()] == [SMALL]
    response = await client.responses.create(model=SMALL, input=QUESTION)
    assert response.output_text == completion.choices[0].text
    async with client.responses.stream(model=SMALL, input=QUESTION) as stream:
        deltas = [each.delta async for each in stream if each.type == "response.output_text.delta"]
    assert "".join(deltas) == response.output_text
    vectors = await client.embeddings.create(model=SMALL, input=["a", "b", "a"], encoding_format="float")
    assert vectors.data[0].embedding == vectors.data[2].embedding != vectors.data[1].embedding


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("chat/completions", "{", 400), ("chat/completions", '{"max_tokens": "many"}', 400), ("nowhere", "{}", 404)],
)
async def test_what_cannot_be_answered_is_said_in_openai_shape(
    small: str, session: aiohttp.ClientSession, path: str, body: str, status: int
) -> None:
    async with session.post(f"{small}/{path}", data=body) as reply:
        assert reply.status == status
        assert (await reply.json())["error"]["type"] == "invalid_request_error"


async def test_a_limit_admits_that_many_and_answers_429_to_the_rest(pool: Pool, session: aiohttp.ClientSession) -> None:
    slow = Pace(first_token=3600, speed=1)  # only leaving ends these
    replay = Replay(PoolAnswers(pool), pace=slow, slots={SMALL: 2})
    async with serving(replay) as url, asyncio.TaskGroup() as group:
        address = f"{endpoint_url(url, SMALL)}/chat/completions"
        held = [group.create_task(session.post(address, json=asking()).__aenter__()) for _ in range(2)]
        await replay.until(lambda stats: stats["in_flight"] == 2)
        async with session.post(address, json=asking()) as reply:
            assert reply.status == 429
            assert reply.headers["retry-after"] == "1"
            assert (await reply.json())["error"]["code"] == "rate_limit_exceeded"
        for task in held:
            task.cancel()
        await replay.until(lambda stats: stats["in_flight"] == 0)
        stats = replay.stats["models"][SMALL]
    assert (stats["peak"], stats["rejected"], stats["left"], stats["served"]) == (2, 1, 2, 0)


async def test_clients_in_lockstep_with_the_limit_never_see_429(pool: Pool, session: aiohttp.ClientSession) -> None:
    """The slot is free before the last bytes, so whoever has them may ask again at once."""
    replay = Replay(PoolAnswers(pool), pace=Pace(speed=2000), slots={LARGE: 3})

    async def ask_often(url: str) -> None:
        for number in range(40):
            body = asking(f"How much is {number % 8} and {number % 8}?", stream=number % 2 == 0)
            async with session.post(f"{endpoint_url(url, LARGE)}/chat/completions", json=body) as reply:
                assert reply.status == 200
                await reply.read()

    async with serving(replay) as url:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(ask_often(url))
        async with session.get(f"{url}/replay/stats") as reply:
            stats = await reply.json()
    assert stats["rejected"] == 0
    assert stats["models"][LARGE]["peak"] <= 3
    assert (stats["served"], stats["in_flight"]) == (120, 0)


async def test_who_has_left_makes_room_at_once(pool: Pool) -> None:
    """A gateway that hangs up on one query may send the next one in the same breath."""
    replay = Replay(PoolAnswers(pool), pace=Pace(first_token=3600), slots={LARGE: 1})
    body = json.dumps(asking())
    request = f"POST /{LARGE}/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    async with serving(replay) as url:
        _, before = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        before.write(request.encode())
        for taken in range(1, 20):
            await replay.until(partial(arrived, taken))
            _, after = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
            before.close()
            after.write(request.encode())
            before = after
        await replay.until(partial(arrived, 20))
        before.close()
    assert (replay.stats["rejected"], replay.stats["peak"]) == (0, 1)


async def test_the_gauges_read_like_those_of_vllm(base: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{base}/{SMALL}/metrics") as reply:
        assert f'vllm:num_requests_running{{model_name="{SMALL}"}} 0\n' in await reply.text()


def test_a_recorded_latency_is_kept_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps({"query_id": "a", "text": "t", "score:m": 1, "out:m": 10, "lat:m": 3.0}))
    answers = PoolAnswers(read_pool(path))
    timing = Pace(speed=2).timing(answers.answer("m", Asked(messages="t")))
    assert timing.last == pytest.approx(1.5)
    assert 0 < timing.first < timing.last


def test_slots_for_a_model_that_the_pool_lacks_are_refused(pool: Pool) -> None:
    with pytest.raises(ValueError, match="no model named nobody"):
        Replay(PoolAnswers(pool), slots={"nobody": 1})


def test_limits_are_read_by_model_and_for_everyone() -> None:
    models = (SMALL, LARGE)
    assert slots_of("", models) == {}
    assert slots_of(f"{SMALL}=4,{LARGE}=2", models) == {SMALL: 4, LARGE: 2}
    assert slots_of(f"*=8,{LARGE}=2", models) == {SMALL: 8, LARGE: 2}
    for wrong in ("large", "large=0", "large=x", "=3"):
        with pytest.raises(ValueError, match="--slots"):
            slots_of(wrong, models)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--slots", "nobody=1"], "no model named nobody"), (["--pool", "missing.jsonl"], "no such file")],
)
def test_a_wrong_option_is_one_clear_error(pool_file: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(command, ["--pool", str(pool_file), *arguments])
    assert result.exit_code == 1
    assert message in result.stderr


async def test_the_command_says_when_it_is_ready_and_ends_when_told(pool_file: Path) -> None:
    program = "from gateway.cli.replay_upstream import command; command()"
    arguments = ["-c", program, "--pool", str(pool_file), "--port", "0", "--slots", "*=4"]
    server = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    lines = [await server.stdout.readline() for _ in range(3)]
    url = lines[-1].decode().split()[-1]
    assert lines[0].decode().strip() == endpoint_url(url, SMALL)
    async with AsyncOpenAI(base_url=endpoint_url(url, SMALL), api_key="none") as client:
        assert (await client.chat.completions.create(**asking())).choices
    server.terminate()
    assert await server.wait() == 0
