"""How promises are kept on real pools: python -m tests.bench.promise --pools DIR [--cache DIR] [--part NAME ...].

A predictor is fitted on a random half of each pool and run on the other half, shuffled; the halves are drawn with seeds
0, 1, ... and averaged. Qualities asked lie 10, 30, 50, 70 and 90 % of the way from the cheapest model's mean success to
the best one's, as the fitted half knows them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.core.capacity import UNLIMITED
from gateway.core.curve import Curve, Sample, trace
from gateway.core.promise import Promise, spread
from gateway.core.sums import Sums
from gateway.domain import MaxCost, MinQuality, Objective
from gateway.lab.methods import METHODS, OURS
from gateway.lab.methods.case import Case
from gateway.lab.methods.file import assign_file
from tests.bench.halves import Half, halves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.problem import Floats, Ints

POOLS = ("rb11", "reason19", "llmr14", "mmlu_pro14")
STEPS = (0.1, 0.3, 0.5, 0.7, 0.9)
BATCHES = (1, 4, 16, 64)
SETTLED = 500  # queries after which the average is promised
BILLS = 4_000  # queries of a budget's run; a shorter half is run again
RIVALS = ("eccos-r", "threshold")


@dataclass(frozen=True)
class Run:
    """What came of each query, in order of arrival."""

    goal: float
    quality: Floats
    score: Floats
    cost: Floats
    paid: Floats


def asked_of(half: Half) -> list[float]:
    low = float(half.fitted_score[half.fitted_paid.argmin()])
    return [low + step * (float(half.fitted_score.max()) - low) for step in STEPS]


def live(curve: Curve, objective: Objective, half: Half, order: Ints, batch: int, *, hold: bool = True) -> Run:
    """The controller in closed loop, as a gateway with room everywhere runs it; `hold` off leaves its first answer."""
    promise, sums = Promise(curve, objective), Sums()
    choice = np.zeros(len(order), dtype=np.int64)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        multiplier = promise.multipliers(sums, spread(start, len(rows)))
        picked = (half.cost[rows] - multiplier[:, None] * half.quality[rows]).argmin(axis=1)
        choice[start : start + batch] = picked
        if hold:
            sums = sums.add(promise.delta(sums, half.quality[rows, picked], half.cost[rows, picked]))
            sums = sums.add(Sums.of_bill(half.paid[rows, picked].sum(), half.cost[rows, picked].sum()))
    tables = (half.quality, half.score, half.cost, half.paid)
    return Run(promise.goal, *(table[order, choice] for table in tables))


def off_goal(runs: Sequence[Run]) -> float:
    """The furthest that the mean over runs of the running predicted average is from the goal, from SETTLED on."""
    paths = [np.cumsum(run.quality) / np.arange(1, len(run.quality) + 1) - run.goal for run in runs]
    return float(np.abs(np.mean(paths, axis=0)[SETTLED:]).max())


def known(half: Half) -> Curve:
    """What could be had knowing all queries: the curve of the half itself."""
    return trace(
        Sample(
            weight=np.ones(len(half.cost)),
            quality=half.quality,
            quality_sd=half.quality_sd,
            score=half.quality,
            cost_usd=half.cost,
        )
    )


def shuffled(half: Half, seed: int) -> Ints:
    return np.random.default_rng(seed + 100).permutation(len(half.cost))


def points(values: Sequence[float]) -> str:
    return " ".join(f"{100 * value:6.2f}" for value in values)


def keeping(name: str, drawn: Sequence[tuple[Sample, Half]]) -> None:
    """Predicted and realised averages, and the price against the offline optimum, by batch size."""
    curves = [trace(sample) for sample, _ in drawn]
    for batch in BATCHES:
        off, miss, error, dearer, single = [], [], [], [], []
        for step in range(len(STEPS)):
            runs, missed, ratio = [], [], []
            for seed, (curve, (_, half)) in enumerate(zip(curves, drawn, strict=True)):
                asked = asked_of(half)[step]
                run = live(curve, MinQuality(asked), half, shuffled(half, seed), batch)
                runs.append(run)
                missed.append(run.score.mean() - asked)
                best = known(half)
                ratio.append(run.cost.mean() / np.interp(run.quality.mean(), best.predicted, best.cost_usd) - 1)
            off.append(off_goal(runs))
            single.append(max(off_goal([run]) for run in runs))
            miss.append(float(np.mean(missed)))
            error.append(float(np.mean([run.score.std() / len(run.score) ** 0.5 for run in runs]) / len(runs) ** 0.5))
            dearer.append(float(np.mean(ratio)))
        beyond = max(abs(value) - 2 * sd for value, sd in zip(miss, error, strict=True))
        print(
            f"{name:11} batch {batch:3}  predicted off, points {points(off)} (worst single run {points([max(single)])})"
        )
        print(f"{'':22} realised - asked       {points(miss)}  beyond 2 s.e. {points([max(beyond, 0.0)])}")
        print(f"{'':22} mean absolute error {points([float(np.mean(np.abs(miss)))])}")
        print(f"{'':22} dearer than optimum, % {points(dearer)}  mean {points([float(np.mean(dearer))])}", flush=True)


def drift(name: str, drawn: Sequence[tuple[Sample, Half]]) -> None:
    """The file's own order: groups one after another. Batch size 16."""
    for hold in (True, False):
        ends, worst, dearer = [], [], []
        for step in range(len(STEPS)):
            end, path, ratio = [], [], []
            for sample, half in drawn:
                order = np.arange(len(half.cost))
                run = live(trace(sample), MinQuality(asked_of(half)[step]), half, order, 16, hold=hold)
                end.append(run.quality.mean() - run.goal)
                path.append(off_goal([run]))
                best = known(half)
                ratio.append(run.cost.mean() / np.interp(run.quality.mean(), best.predicted, best.cost_usd) - 1)
            ends.append(float(np.mean(end)))
            worst.append(float(np.mean(path)))
            dearer.append(float(np.mean(ratio)))
        label = "held" if hold else "left"
        print(f"{name:11} file order, {label}: predicted off at the end {points(ends)}  worst {points(worst)}")
        print(f"{'':27} dearer than optimum, % {points(dearer)}", flush=True)


def budgets(name: str, drawn: Sequence[tuple[Sample, Half]]) -> None:
    """Overspending over windows, at budgets by even factors between the cheapest and the best."""
    for batch in (1, 16, 64):
        table = []
        for step in STEPS:
            rows = []
            for seed, (sample, half) in enumerate(drawn):
                curve = trace(sample)
                low, high = curve.cost_usd[0], curve.cost_usd[curve.last]
                budget = float(low * (high / low) ** step)
                order = np.concatenate([shuffled(half, seed + each) for each in range(-(-BILLS // len(half.cost)))])
                run = live(curve, MaxCost(1_000 * budget), half, order, batch)
                best = known(half)
                lost = np.interp(budget, best.cost_usd, best.predicted) - run.quality.mean()
                rows.append((_overspent(run.cost, budget), _overspent(run.paid, budget), lost))
            table.append(
                (max(row[0] for row in rows), max(row[1] for row in rows), float(np.mean([r[2] for r in rows])))
            )
        predicted, actual, lost_points = zip(*table, strict=True)
        print(f"{name:11} batch {batch:3}  worst 1,000: predicted % {points(predicted)}  actual % {points(actual)}")
        print(f"{'':22} quality lost, points {points(lost_points)}", flush=True)


def _overspent(spent: Floats, budget: float) -> float:
    total = np.concatenate([[0.0], np.cumsum(spent)])
    return float((total[1_000:] - total[:-1_000]).max() / 1_000 / budget - 1)


def rivals(name: str, drawn: Sequence[tuple[Sample, Half]]) -> None:
    """Realised cost at equal realised success, batch size 16: each rival's points against our curve through ours."""
    made = {method: np.zeros((len(STEPS), 2)) for method in (OURS, *RIVALS)}
    fine = np.linspace(0.02, 0.98, 17)
    ours = np.zeros((len(fine), 2))
    for seed, (sample, half) in enumerate(drawn):
        asked = asked_of(half)
        low, high = asked[0], asked[-1]
        for method in RIVALS:
            for step, quality in enumerate(asked):
                made[method][step] += _point(sample, half, quality, method, seed) / len(drawn)
        for step, share in enumerate(fine):
            quality = low + (share - STEPS[0]) / (STEPS[-1] - STEPS[0]) * (high - low)
            ours[step] += _point(sample, half, quality, OURS, seed) / len(drawn)
    order = np.argsort(ours[:, 1])
    for method in RIVALS:
        cost, success = made[method].T
        inside = (success >= ours[:, 1].min()) & (success <= ours[:, 1].max())
        equal = np.interp(success[inside], ours[order, 1], ours[order, 0])
        saved = 1 - equal / cost[inside]
        print(
            f"{name:11} against {method:9}: success {points(success[inside].tolist())}  cost lower by, % "
            f"{points(saved.tolist())}  mean {points([float(saved.mean())])}",
            flush=True,
        )


def _point(sample: Sample, half: Half, asked: float, method: str, seed: int) -> Floats:
    """(realised cost, realised success) of one method at one asked quality."""
    case = Case(
        quality=half.quality,
        quality_sd=half.quality_sd,
        cost=half.cost,
        plain=half.plain,
        sample=sample,
        objective=MinQuality(min(max(asked, 0.0), 1.0)),
        batch_size=16,
        slots=np.full(half.cost.shape[1], UNLIMITED),
        seed=seed,
    )
    choice = assign_file(case, METHODS[method](case))
    rows = np.arange(len(choice))
    return np.array([half.paid[rows, choice].mean(), half.score[rows, choice].mean()])


PARTS: dict[str, Callable[[str, Sequence[tuple[Sample, Half]]], None]] = {
    "keeping": keeping,
    "drift": drift,
    "budgets": budgets,
    "rivals": rivals,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=Path, required=True, help="the folder of the parquet pools")
    parser.add_argument("--cache", type=Path, help="a folder that keeps fits between runs")
    parser.add_argument("--halves", type=int, default=5)
    parser.add_argument("--pool", choices=POOLS, action="append")
    parser.add_argument("--part", choices=PARTS, action="append")
    given = parser.parse_args()
    for name in given.pool or POOLS:
        drawn = [halves(given.pools, name, seed, given.cache) for seed in range(given.halves)]
        for part in given.part or PARTS:
            PARTS[part](name, drawn)


if __name__ == "__main__":
    main()
