"""Collecting from scripted endpoints on real sockets: grading, going on after an end, budgets, failures."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli.collect import command
from gateway.lab.collect.journal import JournalError, Record, journal_of, opened
from gateway.lab.collect.purse import BudgetReachedError, Purse
from predictors.pool import read_pool
from tests.upstream_app import STALL, USAGE, Play, Upstream, completion, failed, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
PRICE = {"input": 1.0, "output": 2.0}  # USD per million: an answer with USAGE costs 17e-6
COST = 17e-6
SUMS: list[dict[str, object]] = [
    {
        "query_id": f"q{place}",
        "group": "sums",
        "text": f"What is {place} + 1?",
        "answer": place + 1,
        "grader": "numeric",
    }
    for place in range(4)
]


def says(text: str, **more: object) -> Play:
    return whole(completion(text, **more))


class Place:
    """A folder with a configuration and prompts, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "pool.jsonl"

    def configure(self, urls: Mapping[str, str], prompts: Sequence[object], **endpoint: object) -> None:
        tree = {
            "version": 1,
            "models": [{"name": name, "price": PRICE} for name in urls],
            "endpoints": [{"name": f"{name}-1", "model": name, "url": url, **endpoint} for name, url in urls.items()],
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
        lines = "".join(json.dumps(each) + "\n" for each in prompts)
        (self.folder / "prompts.jsonl").write_text(lines, encoding="utf-8")

    @property
    def arguments(self) -> tuple[str, ...]:
        paths = {"config": "config.yaml", "prompts": "prompts.jsonl", "out": self.out.name}
        return *(word for name, path in paths.items() for word in (f"--{name}", str(self.folder / path))), "--json"

    async def collect(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        result = await asyncio.to_thread(CliRunner().invoke, command, [*self.arguments, *arguments])
        assert result.exit_code == code, result.output
        report: dict[str, Any] = json.loads(result.stdout or "{}")
        return report | {"error": result.stderr}

    @property
    def records(self) -> list[dict[str, Any]]:
        text = journal_of(self.out).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream(deque([says("It is 2.")]))


async def test_answers_become_a_pool(place: Place, upstream: Upstream) -> None:
    other = Upstream(deque([says("4")]))
    prompts = [*SUMS, {"text": "use it", "tools": [{"type": "function"}], "answer": r"^f\(", "grader": "regex"}]
    async with upstream.serving() as first, other.serving() as second:
        place.configure({"a": first, "org/b": second}, prompts, api_key="secret-key")
        report = await place.collect("--max-tokens", "9", "--field", "temperature=0")
    assert (report["scored"], report["missing"], report["errors"]) == (10, 0, {})
    assert report["models"]["a"]["success"] == pytest.approx(1 / 5)
    assert report["spent_usd"] == pytest.approx(10 * COST)
    pool = read_pool(place.out)
    assert pool.models == ("a", "org/b")
    assert pool.queries.ids == ("q0", "q1", "q2", "q3", "4")
    assert pool.queries.tools[4] == [{"type": "function"}]
    assert pool.score.tolist() == [[0, 0], [1, 0], [0, 0], [0, 1], [0, 0]]
    assert pool.cost[0].tolist() == pytest.approx([COST, COST])
    assert pool.input_tokens[0].tolist() == [USAGE["prompt_tokens"]] * 2
    assert (pool.latency >= 0).all()
    asked = upstream.asked[-1]
    assert asked.json | {"messages": 0, "tools": 0} == {
        "model": "a", "messages": 0, "tools": 0, "max_tokens": 9, "temperature": 0,
    }  # fmt: skip
    assert asked.headers["authorization"] == "Bearer secret-key"
    assert "secret-key" not in journal_of(place.out).read_text(encoding="utf-8")


async def test_a_second_run_asks_only_what_is_missing(place: Place, upstream: Upstream) -> None:
    upstream.then(says("2"), failed(400), says("2"))
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS[:3], capacity={"concurrency": 1})
        report = await place.collect()
        assert report["models"]["a"]["errors"] == {"400 rejected": 1}
        assert [row["score:a"] for row in map(json.loads, place.out.read_text().splitlines())] == [0, None, 0]
        place.configure({"a": url}, SUMS)
        report = await place.collect()
    assert (report["scored"], report["errors"]) == (4, {})
    assert len(upstream.asked) == 3 + 2
    assert report["spent_usd"] == pytest.approx(4 * COST)


async def test_a_killed_run_loses_what_was_in_flight(place: Place, upstream: Upstream) -> None:
    upstream.then(says("2"), says("2"), Play([STALL]))
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS, capacity={"concurrency": 1})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "collect", *place.arguments), env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        await upstream.reached(3)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert len(place.records) == 2
        with journal_of(place.out).open("a", encoding="utf-8") as file:
            file.write('{"mark": "ha')  # as if it had been killed in the middle of a line
        upstream.then(says("2"))
        report = await place.collect()
    assert (report["scored"], len(upstream.asked)) == (4, 3 + 2)


async def test_another_grader_asks_nobody_again(place: Place, upstream: Upstream) -> None:
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS[:1])
        assert (await place.collect())["models"]["a"]["success"] == 0
        place.configure({"a": url}, [SUMS[0] | {"grader": "regex", "answer": "^It is"}])
        report = await place.collect()
    assert report["models"]["a"]["success"] == 1
    assert len(upstream.asked) == 1
    assert report["spent_usd"] == pytest.approx(COST)


async def test_the_budget_is_never_exceeded(place: Place, upstream: Upstream) -> None:
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS)
        arguments = ("--max-tokens", "3", "--budget-usd")  # 64 + 2 x 3.5 tokens in and 3 out are reserved: 77e-6 USD
        assert "too small" in (await place.collect(*arguments, "70e-6", code=1))["error"]
        assert upstream.asked == []
        report = await place.collect(*arguments, "120e-6")
        assert (report["scored"], report["missing"], report["budget_reached"]) == (3, 1, True)
        assert report["spent_usd"] == pytest.approx(3 * COST)
        assert (await place.collect(*arguments, "1"))["missing"] == 0
        assert (await place.collect(*arguments, "0"))["scored"] == 4  # nothing is left to ask


async def test_a_judge_grades_and_is_paid(place: Place, upstream: Upstream) -> None:
    judge = Upstream(deque([says("Right.\nSCORE: 7"), says("I cannot say"), says("SCORE: 9")]))
    prompts: list[dict[str, object]] = [
        {"text": f"Write {each}.", "grader": {"kind": "judge", "rubric": "Is it kind?"}} for each in ("one", "two")
    ]
    async with upstream.serving() as first, judge.serving() as second:
        place.configure({"a": first, "j": second}, prompts, capacity={"concurrency": 1})
        refused = await place.collect(code=2)
        assert "--judge" in refused["error"]
        report = await place.collect("--judge", "j")
        assert report["models"]["a"]["errors"] == {"judge: no_verdict": 1}
        assert report["spent_usd"] == pytest.approx(4 * COST)
        report = await place.collect("--judge", "j")
    assert (len(upstream.asked), len(judge.asked)) == (2, 3)
    assert report["models"]["a"]["success"] == pytest.approx(0.8)
    assert report["spent_usd"] == pytest.approx(5 * COST)
    shown = judge.asked[0].json["messages"][1]["content"]
    assert "Write one." in shown
    assert "It is 2." in shown
    assert "Is it kind?" in shown


async def test_a_busy_endpoint_is_asked_again_and_a_closed_one_is_not(place: Place, upstream: Upstream) -> None:
    upstream.then(failed(429, retry_after_ms="5"), says("1"))
    refusing = Upstream(deque([failed(401)]))
    async with upstream.serving() as first, refusing.serving() as second:
        place.configure({"a": first, "b": second}, SUMS[:3], capacity={"concurrency": 1})
        report = await place.collect()
    assert report["models"]["a"]["scored"] == 3
    assert report["models"]["b"]["errors"] == {"502 upstream_failed": 3}
    assert len(refusing.asked) == 1


async def test_tokens_that_are_not_told_are_counted(place: Place, upstream: Upstream) -> None:
    upstream.then(says("12345678", usage=None))
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS[:1])
        report = await place.collect()
    assert report["models"]["a"]["tokens_estimated"] == 1
    assert (place.records[0]["input_tokens"], place.records[0]["output_tokens"]) == (4, 2)


async def test_wrong_use_ends_before_anything_is_asked(place: Place, upstream: Upstream) -> None:
    async with upstream.serving() as url:
        place.configure({"a": url}, SUMS)
        for arguments in (("--models", "nobody"), ("--judge", "nobody"), ("--field", "model=x"), ("--field", "x")):
            await place.collect(*arguments, code=2)
        place.configure({"a": url}, [{"text": "x"}])
        assert "row 1" in (await place.collect(code=1))["error"]
    assert upstream.asked == []
    assert not place.out.exists()


def test_two_runs_cannot_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl.journal"
    with opened(path) as journal:
        journal.add(Record("m", "a", score=1, paid_usd=0.5))
        with pytest.raises(JournalError, match="another run"), opened(path):
            pass
    with opened(path) as journal:
        assert journal.spent_usd == 0.5
    path.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(JournalError, match="line 1"), opened(path):
        pass


async def test_a_purse_waits_for_what_is_in_flight() -> None:
    purse, order = Purse(1.0), []

    async def spend(most: float, usd: float) -> None:
        async with purse.paying(most) as bill:
            order.append(most)
            await asyncio.sleep(0)
            bill.usd = usd

    async with asyncio.TaskGroup() as group:
        group.create_task(spend(0.9, 0.1))
        group.create_task(spend(0.8, 0.8))
    assert order == [0.9, 0.8]
    assert purse.spent == pytest.approx(0.9)
    with pytest.raises(BudgetReachedError):
        await spend(0.2, 0)
    await spend(0, 0)  # what is free is always in reach
