"""Promises in closed loop on halves of pools, and what came of them as figures: no printing here."""

from __future__ import annotations

from dataclasses import dataclass
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.problem import Floats, Ints
    from tests.bench.halves import Half

    Drawn = tuple[Sample, Half]

STEPS = (0.1, 0.3, 0.5, 0.7, 0.9)
BATCHES = (1, 4, 16, 64)
SETTLED = 500  # queries after which the average is promised
BILLS = 4_000  # queries of a budget's run; a shorter half is run again
RIVALS = {"eccos-r": ("> 0", 0.0), "threshold": (">= 25 on three of four pools", 25.0)}


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


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure for each quality asked, and what it should be."""

    pool: str
    what: str
    unit: str
    values: list[float]
    target: str = ""
    reached: bool | None = None  # None: reported, not asked for


def at_most(pool: str, what: str, unit: str, values: Sequence[float], limit: float) -> Row:
    return Row(pool, what, unit, [float(value) for value in values], f"<= {limit}", bool(max(values) <= limit))


def keeping(name: str, drawn: Sequence[Drawn]) -> Iterator[Row]:
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
                ratio.append(dearer_by(run, half))
            off.append(100 * off_goal(runs))
            single.append(100 * max(off_goal([run]) for run in runs))
            miss.append(100 * float(np.mean(missed)))
            errors = [run.score.std() / len(run.score) ** 0.5 for run in runs]
            error.append(100 * float(np.mean(errors)) / len(runs) ** 0.5)
            dearer.append(100 * float(np.mean(ratio)))
        beyond = [max(0.0, abs(value) - 2 * sd) for value, sd in zip(miss, error, strict=True)]
        where = f"batch {batch:2}"
        yield at_most(name, f"{where}: predicted average off A from query {SETTLED} on", "points", off, 0.3)
        yield Row(name, f"{where}: the same, worst single half", "points", single)
        yield Row(name, f"{where}: realised less asked", "points", miss)
        yield at_most(name, f"{where}: the same beyond two standard errors", "points", beyond, 1.0)
        yield at_most(name, f"{where}: mean absolute error", "points", [float(np.mean(np.abs(miss)))], 1.5)
        what = f"{where}: dearer than the offline optimum"
        yield at_most(name, what, "%", dearer, 3.0) if batch == 1 else Row(name, what, "%", dearer)


def dearer_by(run: Run, half: Half) -> float:
    best = known(half)
    return float(run.cost.mean() / np.interp(run.quality.mean(), best.predicted, best.cost_usd) - 1)


def drift(name: str, drawn: Sequence[Drawn]) -> Iterator[Row]:
    """The file's own order: groups one after another. Batch size 16."""
    for hold in (True, False):
        ends, worst, missed, dearer = [], [], [], []
        for step in range(len(STEPS)):
            runs = []
            for sample, half in drawn:
                asked, order = MinQuality(asked_of(half)[step]), np.arange(len(half.cost))
                runs.append((live(trace(sample), asked, half, order, 16, hold=hold), half, asked.quality))
            ends.append(100 * float(np.mean([run.quality.mean() - run.goal for run, _, _ in runs])))
            worst.append(100 * float(np.mean([off_goal([run]) for run, _, _ in runs])))
            missed.append(100 * float(np.mean([run.score.mean() - asked for run, _, asked in runs])))
            dearer.append(100 * float(np.mean([dearer_by(run, half) for run, half, _ in runs])))
        where = f"file order, {'with' if hold else 'without'} the controller"
        yield Row(name, f"{where}: predicted average off A at the end", "points", ends)
        yield Row(name, f"{where}: furthest off from query {SETTLED} on", "points", worst)
        yield Row(name, f"{where}: realised less asked", "points", missed)
        yield Row(name, f"{where}: dearer than the offline optimum", "%", dearer)


def budgets(name: str, drawn: Sequence[Drawn]) -> Iterator[Row]:
    """Overspending over windows, at budgets by even factors between the cheapest and the best."""
    for batch in (1, 16, 64):
        table = []
        for step in STEPS:
            rows = [_budget(sample, half, step, batch, seed) for seed, (sample, half) in enumerate(drawn)]
            predicted, actual, lost = zip(*rows, strict=True)
            table.append((100 * max(predicted), 100 * max(actual), 100 * float(np.mean(lost))))
        predicted, actual, lost = zip(*table, strict=True)
        yield at_most(name, f"budget, batch {batch:2}: predicted overspend of any 1,000", "%", predicted, 1.0)
        yield at_most(name, f"budget, batch {batch:2}: actual overspend of any 1,000", "%", actual, 4.0)
        yield Row(name, f"budget, batch {batch:2}: quality below the offline optimum", "points", list(lost))


def _budget(sample: Sample, half: Half, step: float, batch: int, seed: int) -> tuple[float, float, float]:
    curve, best = trace(sample), known(half)
    low, high = curve.cost_usd[0], curve.cost_usd[curve.last]
    budget = float(low * (high / low) ** step)
    order = np.concatenate([shuffled(half, seed + each) for each in range(-(-BILLS // len(half.cost)))])
    run = live(curve, MaxCost(1_000 * budget), half, order, batch)
    lost = np.interp(budget, best.cost_usd, best.predicted) - run.quality.mean()
    return _overspent(run.cost, budget), _overspent(run.paid, budget), float(lost)


def _overspent(spent: Floats, budget: float) -> float:
    total = np.concatenate([[0.0], np.cumsum(spent)])
    return float((total[1_000:] - total[:-1_000]).max() / 1_000 / budget - 1)


def rivals(name: str, drawn: Sequence[Drawn]) -> Iterator[Row]:
    """Realised cost at equal realised success, batch size 16: each rival's points against our curve through ours."""
    made = {method: np.zeros((len(STEPS), 2)) for method in RIVALS}
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
    for method, (target, least) in RIVALS.items():
        cost, success = made[method].T
        inside = (success >= ours[:, 1].min()) & (success <= ours[:, 1].max())
        equal = np.interp(success[inside], ours[order, 1], ours[order, 0])
        saved = 100 * (1 - equal / cost[inside])
        yield Row(name, f"against {method}: success at which costs are compared", "%", (100 * success[inside]).tolist())
        yield Row(name, f"against {method}: cost lower by", "%", saved.tolist())
        mean = float(saved.mean()) if inside.any() else float("nan")
        yield Row(name, f"against {method}: cost lower by, mean", "%", [mean], target, mean > least)


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
