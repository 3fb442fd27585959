"""How long is a decision, how far from the optimum, what does it do to the event loop, and what does it gain?

Problems are made by tests/core/instances.py. The gaps are taken against a long run of CP-SAT on the whole model.
On a busy machine look at CPU time, or give the run a real-time priority.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import platform
import statistics
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from gateway.core import cpsat
from gateway.core.greedy import one_by_one
from gateway.core.instance import CLOSED, make_instance
from gateway.core.ladder import prepare, solve
from tests.core.instances import Rows, traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.assignment import Assignment
    from gateway.core.problem import Problem

SIZES = ((1, 8), (64, 8), (64, 16), (256, 16), (512, 16), (512, 64), (100, 1000), (512, 1000))
MIXES = {
    "tokens": Rows(tokens=True),
    "quality": Rows(quality=True),
    "tokens+gang": Rows(tokens=True, gang=True),
    "budget": Rows(budget=True),
    "tokens+quality": Rows(tokens=True, quality=True),
}
BUDGETS = ((16, 8, 0.02), (64, 8, 0.02), (64, 8, 0.2), (256, 16, 0.2))
MS = 1e3
MANY_CELLS = 100_000  # sizes that are decided fewer times


def _timed(problem: Problem, budget_s: float = 0.02) -> tuple[float, Assignment]:
    began = time.perf_counter()
    answer = solve(problem, budget_s=budget_s, clock=time.perf_counter)
    return time.perf_counter() - began, answer


def decisions(repeats: int) -> None:
    """Time of a decision whose slots bind, without prediction."""
    print(f"{'Q x E':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}  step")
    for queries, endpoints in SIZES:
        problems = [_contended(seed, queries, endpoints) for seed in range(8)]
        rounds = repeats if queries * endpoints <= MANY_CELLS else max(8, repeats // 20)
        cpu = time.process_time()
        runs = [_timed(problems[turn % len(problems)]) for turn in range(rounds)]
        cpu = (time.process_time() - cpu) / rounds
        seconds = [each[0] for each in runs]
        steps = dict(Counter(each[1].step.value for each in runs))
        p50, p99 = np.quantile(seconds, [0.5, 0.99])
        print(f"{queries:>5} x {endpoints:<4}{p50 * MS:>8.2f} {p99 * MS:>8.2f} {cpu * MS:>8.2f}  {steps}", flush=True)


def _contended(seed: int, queries: int, endpoints: int) -> Problem:
    """Slots bind; for a lone query: the best endpoint is full."""
    problem = traffic(seed, queries, endpoints, load=1.2)
    if queries > 1:
        return problem
    slots = problem.slots.copy()
    slots[np.where(problem.allowed, problem.score, np.iinfo(np.int64).max)[0].argmin()] = 0
    return dataclasses.replace(problem, slots=slots)


def gaps(problems: int, reference_s: float) -> None:
    """Distance to a long run of CP-SAT on the whole model, from the same start."""
    print(
        f"{'rows':>15} {'Q x E':>9} {'budget':>7} {'gap %':>7} {'worst':>7} {'said %':>7} {'p50 ms':>7} {'p99 ms':>7}"
    )
    for name, rows in MIXES.items():
        references: dict[tuple[int, int, int], float] = {}
        for queries, endpoints, budget in BUDGETS:
            found, said, seconds = [], [], []
            for seed in range(problems):
                problem = traffic(seed, queries, endpoints, load=(0.9, 1.2)[seed % 2], rows=rows)
                took, answer = _timed(problem, budget)
                key = (queries, endpoints, seed)
                if key not in references:
                    references[key] = _reference(problem, answer, reference_s)
                best = min(references[key], answer.objective)
                if answer.bound > best:
                    raise AssertionError(f"{name} {key}: a bound of {answer.bound} above {best}")
                found.append(100 * (answer.objective - best) / abs(best))
                said.append(100 * answer.gap)
                seconds.append(took)
            p50, p99 = np.quantile(seconds, [0.5, 0.99])
            print(
                f"{name:>15} {queries:>3} x {endpoints:<3} {budget * MS:>5.0f}ms {statistics.median(found):>7.3f} "
                f"{max(found):>7.3f} {statistics.median(said):>7.3f} {p50 * MS:>7.1f} {p99 * MS:>7.1f}",
                flush=True,
            )


def _reference(problem: Problem, answer: Assignment, seconds: float) -> float:
    """Nano-dollars of the best of a long run; starts from greedy where that meets the quality row, else from ours."""
    instance = make_instance(problem)
    starts = [one_by_one(instance), answer.choice]
    objectives = [float(answer.objective)]
    for start in starts:
        whole = cpsat.refine(
            instance, instance.price < CLOSED, start, missing=answer.missing_quality, seconds=seconds / 2, gap=1e-6
        )
        if whole is not None:
            objectives.append(instance.objective(whole.choice))
    return min(objectives)


async def lag(seconds: float) -> None:
    """How late a 1 ms timer of the event loop is while a thread decides batch after batch."""
    print(f"{'rows':>15} {'Q x E':>9} {'batches':>8} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}")
    cases = [("none", Rows(), 0, 0), ("slots", Rows(), 64, 8), ("slots", Rows(), 256, 16), ("slots", Rows(), 512, 16)]
    cases += [(name, MIXES[name], 64, 8) for name in ("tokens", "tokens+quality")]
    cases += [(name, MIXES[name], 256, 16) for name in ("tokens+gang", "tokens+quality")]
    with ThreadPoolExecutor(max_workers=1) as thread:
        await asyncio.get_running_loop().run_in_executor(thread, prepare)
        for name, rows, queries, endpoints in cases:
            late: list[float] = []
            seeds = range(4 if queries else 0)
            problems = [traffic(seed, queries, endpoints, load=1.0, rows=rows) for seed in seeds]
            async with asyncio.TaskGroup() as group:
                probe = group.create_task(_probe(late))
                batches = await _decide_for(seconds, problems, thread)
                probe.cancel()
            p50, p99 = np.quantile(late, [0.5, 0.99])
            print(
                f"{name:>15} {queries:>3} x {endpoints:<3} {batches:>8} {p50 * MS:>7.2f} {p99 * MS:>7.2f} "
                f"{max(late) * MS:>7.2f}",
                flush=True,
            )


async def _probe(late: list[float]) -> None:
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        await asyncio.sleep(0.001)  # what is measured is how much later the loop comes back
        late.append(now() - began - 0.001)


async def _decide_for(seconds: float, problems: list[Problem], thread: ThreadPoolExecutor) -> int:
    loop = asyncio.get_running_loop()
    end, batches = loop.time() + seconds, 0
    while loop.time() < end:
        if not problems:
            await asyncio.sleep(0.01)  # the row without any batches
            continue
        await loop.run_in_executor(thread, _timed, problems[batches % len(problems)], 0.1)
        batches += 1
    return batches


def gains(problems: int) -> None:
    """What the joint solve saves against the same queries one after the other."""
    print(f"{'Q x E':>10} {'load':>5} {'of money %':>11} {'of |objective| %':>17} {'batches with gain':>18}")
    for queries, endpoints in ((8, 8), (64, 8), (256, 16)):
        for load in (0.8, 1.0, 1.2):
            shares, money, any_gain = [], [], 0
            for seed in range(problems):
                problem = traffic(seed, queries, endpoints, load=load)
                answer = solve(problem, budget_s=0.1)
                shares.append(100 * answer.gain / max(1, abs(answer.objective)))
                spread = problem.score.max(axis=1) - problem.score.min(axis=1)
                money.append(100 * answer.gain / int(spread.sum()))
                any_gain += answer.gain > 0
            print(
                f"{queries:>5} x {endpoints:<3} {load:>5} {statistics.mean(money):>11.3f} "
                f"{statistics.mean(shares):>17.3f} {any_gain:>11}/{problems}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("decisions", "gaps", "lag", "gains"), help="one table only")
    parser.add_argument("--repeats", type=int, default=400, help="decisions a size")
    parser.add_argument("--problems", type=int, default=6, help="problems a row")
    parser.add_argument("--long", type=float, default=10.0, help="seconds of the reference run")
    asked = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"commit {commit.stdout.strip()}, {machine}")
    prepare()
    parts: dict[str, Callable[[], None]] = {
        "decisions": lambda: decisions(asked.repeats),
        "gaps": lambda: gaps(asked.problems, asked.long),
        "lag": lambda: asyncio.run(lag(3.0)),
        "gains": lambda: gains(40),
    }
    for name, part in parts.items():
        if asked.part in (None, name):
            print(f"\n{name}")
            part()


if __name__ == "__main__":
    main()
