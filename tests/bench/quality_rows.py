"""The rows of the Numbers table on prediction: each a value with its interval, a target, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import aim, bootstrap, frontier
from gateway.lab.baselines import BLEND, CONSTANT, PAIR, RIVALS
from gateway.lab.evaluate_figures import kept_promises, realised_of
from predictors.metrics import calibration_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Realised
    from predictors.pool import Pool

KEPT = 0.99  # of the best single model's success, for the multiplier that is set beforehand
FEW_DRAWS = 200  # where a draw is dear


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `passed` is None where it is reported only; `pool` is "" for all together."""

    what: str
    pool: str
    value: float
    low: float
    high: float
    target: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Held:
    """A pool and its estimates with a fifth of the queries left out at a time, and their draws."""

    name: str
    given: Estimates
    realised: Realised
    weight: Floats  # (B, N)

    @classmethod
    def of(cls, name: str, pool: Pool, given: Estimates, draws: int, seed: int) -> Held:
        return cls(name, given, realised_of(pool, given), bootstrap.draws(len(pool.score), draws, seed))

    def frontier(self, quality: Floats, cost: Floats) -> _Frontier:
        """Of predictions (N, M), under every draw."""
        paid, score = self.realised.picked(frontier.sweep(quality, cost, self.realised))
        redrawn = bootstrap.redraw(paid, score, self.realised, self.weight)
        found = redrawn.summaries(redrawn.hulls())
        return _Frontier(
            frontier.summarise(paid.mean(axis=1), score.mean(axis=1), *frontier.anchors(self.realised)),
            np.array([each.aiq for each in found]),
            np.array([each.cr95 for each in found]),
            np.array([each.peak for each in found]) - redrawn.best[:, 1],
        )

    def ours(self) -> _Frontier:
        return self.frontier(self.given.quality, self.given.cost)

    def baseline(self, name: str) -> _Frontier:
        return self.frontier(self.given.baselines[name], self.given.mean_cost)

    def oracle(self) -> _Frontier:
        return self.frontier(np.nan_to_num(self.realised.score), self.realised.cost)

    @property
    def best(self) -> tuple[float, float]:
        """(cost, success) of the best single model."""
        return frontier.anchors(self.realised)[1]


@dataclass(frozen=True, slots=True)
class _Frontier:
    summary: frontier.Summary
    aiqs: Floats  # (B,)
    cr95s: Floats
    peaks: Floats  # (B,) above the best single model's success


def frontier_rows(pools: Sequence[Held]) -> list[Row]:
    """AIQ against the baselines, share of the gap, cost at 95 %."""
    rows, gains, drawn = [], [], []
    for pool in pools:
        ours, constant, oracle = pool.ours(), pool.baseline(CONSTANT), pool.oracle()
        rivals = {name: pool.baseline(name) for name in RIVALS}
        best = max(rivals, key=lambda name: rivals[name].summary.aiq)
        gain = bootstrap.interval(ours.summary.aiq - rivals[best].summary.aiq, ours.aiqs - rivals[best].aiqs)
        gains.append(gain.value)
        drawn.append(ours.aiqs - rivals[best].aiqs)
        rows += [
            _row("AIQ", pool.name, bootstrap.interval(ours.summary.aiq, ours.aiqs)),
            *(
                _row(f"AIQ of {name}", pool.name, bootstrap.interval(each.summary.aiq, each.aiqs))
                for name, each in {CONSTANT: constant, **rivals, "oracle": oracle}.items()
            ),
            _row(f"AIQ over {best}", pool.name, gain, ">= -2 standard errors", passed=gain.value >= -2 * gain.error),
            _gap_row(pool.name, ours, constant, oracle),
            _cost_row(
                pool.name, ours, min((rivals[name] for name in (PAIR, BLEND)), key=lambda each: each.summary.cr95)
            ),
        ]
    mean = bootstrap.interval(float(np.mean(gains)), np.mean(drawn, axis=0))
    met = mean.value >= 0.004 and mean.low > 0
    return [*rows, _row("AIQ over the best baseline", "", mean, ">= 0.004, low > 0 (after: 0.010)", passed=met)]


def _gap_row(name: str, ours: _Frontier, constant: _Frontier, oracle: _Frontier) -> Row:
    value = frontier.gap_closed(ours.summary.aiq, constant.summary.aiq, oracle.summary.aiq)
    drawn = (ours.aiqs - constant.aiqs) / (oracle.aiqs - constant.aiqs)
    return _row("share of the gap closed", name, bootstrap.interval(value, drawn))


def _cost_row(name: str, ours: _Frontier, blend: _Frontier) -> Row:
    found = bootstrap.interval(ours.summary.cr95, ours.cr95s)
    limit = blend.summary.cr95
    return _row("cost at 95 %", name, found, f"<= the blend's {limit:.3f}", passed=found.value <= limit)


def calibration_rows(pools: Sequence[Held]) -> list[Row]:
    """Ten bins per model, mean over models."""
    rows = []
    for pool in pools:
        found = _redrawn(pool, calibration_error)
        rows.append(_row("calibration error", pool.name, found, "<= 0.03", passed=found.value <= 0.03))
    return rows


def _redrawn(pool: Held, measure: Callable[[Floats, Floats], float]) -> bootstrap.Interval:
    draw = np.random.default_rng(0)
    quality, score = pool.given.quality, pool.realised.score
    picks = (draw.integers(0, len(score), len(score)) for _ in range(FEW_DRAWS))
    return bootstrap.interval(measure(quality, score), np.array([measure(quality[at], score[at]) for at in picks]))


def away_rows(pools: Sequence[Held]) -> list[Row]:
    """One group left out at a time, all together."""
    rows = []
    for pool in pools:
        ours, constant = pool.ours(), pool.baseline(CONSTANT)
        aiq = bootstrap.interval(ours.summary.aiq - constant.summary.aiq, ours.aiqs - constant.aiqs)
        peak = bootstrap.interval(ours.summary.peak - pool.best[1], ours.peaks)
        error = _redrawn(pool, calibration_error)
        limit = calibration_error(pool.given.baselines[CONSTANT], pool.realised.score) + 0.02
        rows += [
            _row("away: AIQ over the constant's", pool.name, aiq, ">= 0", passed=aiq.value >= 0),
            _row("away: peak over the best single", pool.name, peak, ">= -0.005", passed=peak.value >= -0.005),
            _row("away: calibration error", pool.name, error, f"<= {limit:.3f}", passed=error.value <= limit),
        ]
    return rows


def frozen_rows(pools: Sequence[Held]) -> list[Row]:
    """Multipliers set on the training folds to keep 99 % of the best single model's success, run on the held one.

    The verdict is on the mixture of two; what one multiplier alone reaches is reported.
    """
    rows = []
    for words, rule, judged in (("one multiplier", aim.single, False), ("two mixed", aim.mixed, True)):
        ratios = []
        for pool in pools:
            mix = {part: rule(sample, KEPT) for part, sample in pool.given.samples.items()}
            paid, score = aim.hold(pool.given, mix, pool.realised)
            dear, good = pool.realised.picked(pool.realised.best)
            loss = bootstrap.interval(float((good - score).mean()), pool.weight @ (good - score))
            ratio = bootstrap.interval(float(paid.mean() / dear.mean()), (pool.weight @ paid) / (pool.weight @ dear))
            ratios.append(ratio.value)
            met = loss.value <= 0.01 + 2 * loss.error
            rows += [
                _row(f"99 %, {words}: cost ratio", pool.name, ratio),
                _row(f"99 %, {words}: loss", pool.name, loss, "<= 0.01 + 2 standard errors", passed=met),
            ]
        mean = float(np.mean(ratios))
        target, verdict = ("<= 0.60", mean <= 0.60) if judged else ("reported", None)
        rows.append(Row(f"99 %, {words}: cost ratio", "", mean, np.nan, np.nan, target, verdict))
    return rows


def promise_rows(pools: Sequence[Held]) -> list[Row]:
    """Asked averages in five steps between the cheapest and the best model."""
    rows, misses = [], []
    for pool in pools:
        for kept in kept_promises(pool.given, pool.realised):
            miss = kept.realised - kept.asked
            misses.append(abs(miss))
            met = abs(miss) <= 0.01 + 2 * kept.error
            low, high = miss - 2 * kept.error, miss + 2 * kept.error
            rows.append(Row(f"realised over asked {kept.asked:.3f}", pool.name, miss, low, high, "+- 0.01 + 2 SE", met))
    mean = float(np.mean(misses))
    return [*rows, Row("mean |realised - asked|", "", mean, np.nan, np.nan, "<= 0.012", mean <= 0.012)]


def _row(
    what: str, pool: str, found: bootstrap.Interval, target: str = "reported", *, passed: bool | None = None
) -> Row:  # fmt: skip
    return Row(what, pool, found.value, found.low, found.high, target, passed)
