"""The driver against real sockets: a replay upstream, and servers that answer badly."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from gateway.cli.drive import command, unseen
from gateway.lab.drive import Plan, calls, drive
from gateway.lab.drive_reply import End, Sent
from gateway.lab.drive_report import best_single, summary
from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_pace import Pace
from predictors.artifact import save
from predictors.pool import read_pool
from predictors.training import train

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from predictors.pool import Pool

    Script = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SMALL, LARGE = "tiny/one", "large"


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(script, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def driven(pool: Pool, plan: Plan, rows: int = 8) -> list[Sent]:
    ended: list[Sent] = []
    await drive(pool.queries, range(rows), plan, ended.append)
    return ended


def answering(*parts: bytes, status: int = 200) -> Script:
    async def script(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"".join(parts), status=status)

    return script


async def hanging_up(request: web.BaseRequest) -> web.StreamResponse:
    """Announces 100 bytes, sends 4 and closes."""
    response = web.StreamResponse(headers={"content-length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize("stream", [False, True])
async def test_every_query_is_sent_once_and_its_score_and_cost_are_found(pool: Pool, base: str, stream: bool) -> None:  # noqa: FBT001 - pytest passes by name
    ended = await driven(pool, Plan(endpoint_url(base, SMALL), SMALL, stream=stream), rows=10)
    report = summary(pool, ended, 1.0, model=SMALL)
    assert sorted(each.row for each in ended) == list(range(10))
    assert (report["answered"], report["failed"], report["lost"], report["misdelivered"]) == (10, 0, 0, 0)
    assert report["scored"] == 9  # the pool does not know one
    assert report["success"] == pytest.approx(5 / 9)
    assert report["cost_per_1k_usd"] == pytest.approx(1.0)
    assert report["models"][SMALL]["share"] == 1.0
    assert (report["first_token_s"] is not None) == stream


async def test_the_floor_and_the_tools_of_the_pool_are_in_the_body(pool: Pool) -> None:
    queries = pool.queries
    first, ninth = calls(queries, [0, 8], Plan("http://x/v1", stream=True, min_quality=0.7))
    assert json.loads(first.body) == {
        "model": "auto",
        "stream": True,
        "routing": {"min_quality": 0.7},
        "messages": [{"role": "user", "content": "How much is 0 and 0?"}],
    }
    assert [message["role"] for message in json.loads(ninth.body)["messages"]] == ["system", "user"]


async def test_no_more_clients_than_asked_wait_at_once(pool: Pool) -> None:
    replay = Replay(PoolAnswers(pool), pace=Pace(speed=500))
    async with serving(replay) as url:
        await driven(pool, Plan(endpoint_url(url, LARGE), LARGE, concurrency=3))
    assert replay.stats["peak"] == 3


async def test_a_rate_does_not_wait_for_answers(pool: Pool) -> None:
    """All eight arrive while none is answered; a driver that waited would stop at the first."""
    replay = Replay(PoolAnswers(pool), pace=Pace(first_token=3600))
    async with serving(replay) as url, asyncio.TaskGroup() as group:
        plan = Plan(endpoint_url(url, LARGE), LARGE, rate=500.0)
        sending = group.create_task(driven(pool, plan))
        await replay.until(lambda stats: stats["in_flight"] == 8)
        sending.cancel()


@pytest.mark.parametrize(
    ("script", "stream", "error"),
    [
        (answering(b'{"error": {"code": "no_headroom", "type": "overloaded"}}', status=429), False, "429 no_headroom"),
        (answering(b'{"error": {"code": null, "type": "server_error"}}', status=500), False, "500 server_error"),
        (answering(b"<html>", status=502), True, "502 not_an_answer"),
        (answering(b"<html>"), False, "not_an_answer"),
        (answering(b'{"object": "list"}'), False, "not_an_answer"),
        (answering(b'data: {"choices": []}\n\n'), True, "cut"),
        (answering(b'data: {"choices": []}\n\n', b'data: {"error": {"code": "x"}}\n\n'), True, "event x"),
        (hanging_up, False, "cut"),
    ],
)
async def test_what_is_no_answer_counts_as_failed(pool: Pool, script: Script, stream: bool, error: str) -> None:  # noqa: FBT001 - pytest passes by name
    async with scripted(script) as url:
        ended = await driven(pool, Plan(url, stream=stream), rows=2)
    report = summary(pool, ended, 1.0)
    assert (report["failed"], report["answered"], report["lost"]) == (2, 0, 0)
    assert report["errors"] == {error: 2}


async def test_the_word_error_inside_an_answer_is_no_error(pool: Pool) -> None:
    told = b'data: {"choices": [{"delta": {"content": "\\"error\\""}}], "error": null}\n\ndata: [DONE]\n\n'
    async with scripted(answering(told)) as url:
        ended = await driven(pool, Plan(url, stream=True), rows=1)
    assert ended[0].end is End.ANSWERED


async def test_a_reason_for_ending_ends_a_stream_without_end_marker(pool: Pool) -> None:
    told = b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}\n\n'
    async with scripted(answering(told)) as url:
        ended = await driven(pool, Plan(url, stream=True), rows=1)
    assert ended[0].end is End.ANSWERED


async def test_nothing_coming_back_counts_as_lost(pool: Pool, unused_tcp_port: int) -> None:
    ended = await driven(pool, Plan(f"http://127.0.0.1:{unused_tcp_port}/v1"), rows=3)
    report = summary(pool, ended, 1.0)
    assert (report["sent"], report["lost"]) == (3, 3)
    assert report["success"] is None


async def test_a_decision_told_twice_and_another_querys_answer_are_seen(pool: Pool) -> None:
    numbers = count()

    async def script(_: web.BaseRequest) -> web.StreamResponse:
        number = next(numbers)
        headers = {
            "x-paretogate-decision": f"d{number // 2}",
            "x-paretogate-model": LARGE,
            "x-paretogate-cost-usd": "0.5",
            "x-paretogate-quality": "0.75",
            "x-replay-query": "q0",
        }
        return web.json_response({"choices": [{}]}, headers=headers)

    async with scripted(script) as url:
        ended = await driven(pool, Plan(url, concurrency=1), rows=4)
    report = summary(pool, ended, 2.0)
    assert report["doubled"] == 2
    assert report["misdelivered"] == 3
    assert report["cost_per_1k_usd"] == pytest.approx(10.0)  # the pool's, not the header's
    assert report["header_cost_per_1k_usd"] == pytest.approx(500.0)
    assert report["predicted_quality"] == pytest.approx(0.75)
    assert report["per_second"] == 2.0


def test_a_name_that_is_not_ascii_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps({"query_id": "a", "text": "t", "score:größe": 1, "cost:größe": 2}), encoding="utf-8")
    sent = Sent(row=0, end=End.ANSWERED, seconds=1.0, model="gr%C3%B6%C3%9Fe")
    assert list(summary(read_pool(path), [sent], 1.0)["models"]) == ["größe"]


def test_the_best_single_model_has_answered_as_much_as_any(pool: Pool) -> None:
    assert best_single(pool, range(10)) == {"model": LARGE, "success": 1.0, "cost_per_1k_usd": 10.0}
    assert best_single(pool, []) is None


async def test_the_command_prints_one_json_object(pool_file: Path, base: str) -> None:
    arguments = ["--pool", str(pool_file), "--base-url", endpoint_url(base, LARGE), "--model", LARGE, "--limit", "4"]
    result = await asyncio.to_thread(CliRunner().invoke, command, [*arguments, "--json"])
    report: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code, report["sent"], report["success"]) == (0, 4, 1.0)
    result = await asyncio.to_thread(CliRunner().invoke, command, arguments)
    assert "success 1 ± 0 over 4 scored" in result.stdout


def test_a_gateway_that_is_not_there_is_one_clear_error(pool_file: Path, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/v1"
    result = CliRunner().invoke(command, ["--pool", str(pool_file), "--base-url", url])
    assert result.exit_code == 1
    assert f"{url}: no answer to any query" in result.stderr


def test_a_rate_and_a_number_of_clients_exclude_each_other(pool_file: Path) -> None:
    arguments = ["--pool", str(pool_file), "--base-url", "x", "--rate", "1", "--concurrency", "1"]
    assert CliRunner().invoke(command, arguments).exit_code == 2


def test_queries_that_the_artifact_was_trained_on_are_left_out(tmp_path: Path) -> None:
    source = str(files("gateway.lab") / "demo_pool.jsonl")
    lines = Path(source).read_text(encoding="utf-8").splitlines()
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(lines[:40]), encoding="utf-8")
    save(train([read_pool(half)]), tmp_path / "artifact")
    queries = read_pool(Path(source)).queries
    assert unseen(queries, tmp_path / "artifact") == list(range(40, 80))
    assert unseen(queries, None) == list(range(80))
