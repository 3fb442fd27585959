"""A route's promise over time: a multiplier that is carried from batch to batch.

The curve says which multiplier should keep the promise. Sums over past decisions say how live traffic differs from
the curve's sample (the surprise: what the curve foresaw less what came) and what is owed (the debt: what was aimed at
less what came). The next queries are placed where the curve, moved by the surprise, gives the goal and pays the debt
off over a horizon:

    wanted = goal + surprise + debt / horizon

Surprise is measured against the multipliers that were used, so debt does not drive it: two first-order lags in a row,
with real poles, which no step of traffic, prices or goal can make oscillate. What chance alone would show is not acted
on. All of it is a function of the sums, so replicas that share sums share the multiplier.
"""

from __future__ import annotations

from bisect import bisect_right
from math import exp, floor, inf, log, sqrt
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gateway.core.curve import LEAST_MULTIPLIER
from gateway.core.sums import Sums
from gateway.domain import MaxCost, MinQuality, Tradeoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.curve import Curve
    from gateway.core.problem import Floats
    from gateway.domain import Objective

    Amounts: TypeAlias = Sequence[float] | Floats

__all__ = ["Promise", "Sums", "spread"]

FEEDBACK_PRIOR = 100.0  # scored answers by which the curve's own residual outweighs feedback
MOST_BIAS = 0.2
GOLDEN = (sqrt(5) - 1) / 2  # steps of the golden ratio fill the unit interval evenly, from any start

# How surprise is believed and debt paid off. Set by tests/bench/promise.py: the predicted average within 0.3 points of
# the goal from query 500 on, at most 3 % dearer than the offline optimum; where both cannot be had, the second.
DOUBT = 6.0  # the square of the standard errors by which a surprise is shrunk
PRIOR = 500.0  # queries by which the curve outweighs the first surprises: groups one after another are no new mix
PRIOR_FADES = 1_000.0  # queries after which it does so by 1/e of that
LEAST_SD = 0.02  # of one query's quality: even equal queries differ where a curve's jump is mixed
FIRST_HORIZON = 400.0  # queries; early debts are noise: they have until then to cancel out
LEAST_HORIZON, MOST_HORIZON = 40.0, 400.0
THRIFT = 0.05  # of the cost: what moving about the goal may add by the curve; the horizon is longer where it adds more
HORIZON_SHARE, SHARE_ENDS = 0.2, 240.0  # of n, and queries: an average over more may be mended over more
BATCHES = 1.25  # no fewer than these batches: at less than half of one, paying off would overshoot
MOST_DEBT = 25.0  # queries of quality 1; an end of the curve cannot wind it up further
EARLY_DEBT, DEBT_SHARE = 5.0, 0.01  # at first so many, and this share of n: a spell of easy traffic is not to be spent
LOG_DEARER, LOG_CHEAPER = log(1.5), log(4.0)  # paying off moves the multiplier up and down by these factors at most
ORDINARY = 2.0  # standard deviations of a debt that chance makes; one k times that may move it by the k-th power
DEAREST = 10.0  # times the curve's own multiplier: quality that costs more was never promised
TRADEOFF_REACH = 3.0  # a trade-off's multiplier stays within this factor of its curve's

COST_HORIZON = 25.0  # queries; short, because overspending is promised over WINDOW queries
WINDOW, SLACK = 1_000, 0.005  # overspend planned for over any window, as a share: half of what is allowed
MOST_OVERSPENT = 100.0  # queries at the budget; what a spell of dear traffic costs beyond that is forgiven
BILL_HORIZON = 200.0  # queries; bills scatter more than estimates, and are promised over more queries
BILL_CREDIT = 10.0  # queries at the budget; what bills leave unspent beyond that is forgotten
CREDIT = 3.0  # standard deviations of the debt; what is left unspent beyond them is forgotten


def spread(served: int, count: int) -> list[float]:
    """So many numbers in [0, 1), evenly spread within a batch and over batches.

    Args:
        served: How many queries this replica has decided before.
        count: How many it is about to decide.
    """
    return [(served + place) * GOLDEN % 1.0 for place in range(count)]


class Promise:
    """Turns sums into multipliers, for one objective on one curve."""

    def __init__(self, curve: Curve, objective: Objective) -> None:
        self._curve = curve
        self._learns = isinstance(objective, MinQuality)
        # 0 is the cheapest whatever a query is like, not only for those that are like the sample
        cheapest = isinstance(objective, Tradeoff) and objective.level == 0
        prices = np.full_like(curve.multiplier, LEAST_MULTIPLIER) if cheapest else curve.multiplier
        self._of_cost = isinstance(objective, MaxCost)
        # lists, because arrays take five times as long to read one number from
        self._prices: list[float] = prices.tolist()
        self._logs: list[float] = np.log(curve.multiplier).tolist()
        self._marks: list[float] = (curve.cost_usd if self._of_cost else curve.predicted).tolist()
        self._asked = (Sums(), -1, 0.0)
        self._low, self._high = 0.0, float(len(curve.multiplier) - 1)
        if isinstance(objective, MaxCost):
            self._within_budget(objective.usd_per_1k / WINDOW)
        else:
            self._high = float(curve.last)
            self._at = self._position_of(objective)
            self._goal = self._read(curve.predicted, self._at)
            self._sd = max(self._read(curve.predicted_sd, self._at), LEAST_SD)
            self._horizon = self._thrifty()
            self._most_debt = self._credit = MOST_DEBT
            down, up = (TRADEOFF_REACH, TRADEOFF_REACH) if isinstance(objective, Tradeoff) else (np.inf, DEAREST)
            self._low, self._high = self._reach(self._at, -log(down)), self._reach(self._at, log(up))
        self._residual = self._read(curve.realised, self._at) - self._read(curve.predicted, self._at)

    @property
    def kind(self) -> str:
        """What the target of the sums is; sums of one kind mean nothing to a promise of another."""
        return "cost" if self._of_cost else "quality"

    @property
    def goal(self) -> float:
        """The average that is held: predicted quality, or predicted USD per query."""
        return self._goal

    @property
    def expected(self) -> float:
        """The realised quality that the curve gives there."""
        return self._read(self._curve.realised, self._at)

    def multiplier(self, sums: Sums) -> float:
        """USD per unit of quality, as a query on its own would get it."""
        return self._prices[round(self._placed_at(sums, 1))]

    def multipliers(self, sums: Sums, draws: Sequence[float]) -> Floats:
        """USD per unit of quality for each query of the next batch.

        Where the curve jumps, no single multiplier gives the goal: then some queries take the knot below and the
        others the knot above, in the shares that do.

        Args:
            sums: What the route remembers.
            draws: (Q,) from `spread`.
        """
        at, last = self._placed_at(sums, len(draws)), int(self._high)
        return np.array([self._prices[min(floor(at + draw), last)] for draw in draws])

    def delta(self, sums: Sums, quality: Amounts, cost: Amounts, *, displaced: bool = False) -> Sums:
        """What a decided batch adds to the sums.

        Args:
            sums: As given to `multipliers` for this batch.
            quality: (Q,) predicted quality of each choice that counts. Those of floored and pinned queries do not.
            cost: (Q,) predicted USD of the same.
            displaced: A capacity row changed a choice, so that what came says nothing of the curve. It is owed all the
                same, within the limits of a debt: forgiving it missed promises by up to 3 points where dearer models
                still had room (docs/adr/0008-shortage-is-owed.md).
        """
        count, gained, spent = len(quality), float(sum(quality)), float(sum(cost))
        came = spent if self._of_cost else gained
        delta = Sums(
            n=count,
            quality=gained,
            cost=spent,
            steered=0.0 if displaced else count,
            aimed=count * self._aim(sums),
            foreseen=came if displaced else count * self._read(self._marks, self._placed_at(sums, count)),
        )
        return self._within_limits(sums.add(delta), delta)

    def bias(self, sums: Sums) -> float:
        """How far answers score above their estimates by feedback, to add to the route's estimates."""
        return _within(sums.residual / (sums.scored + FEEDBACK_PRIOR), MOST_BIAS)

    def _aim(self, sums: Sums) -> float:
        """The goal, less what feedback has shown that estimates are off by beyond what the curve knew."""
        if not self._learns:
            return self._goal
        news = sums.residual - sums.scored * self._residual
        return self._goal - _within(news / (sums.scored + FEEDBACK_PRIOR), MOST_BIAS)

    def _missed(self, sums: Sums) -> float:
        """How far what came stayed behind what the curve foresaw, in all."""
        return sums.foreseen - (sums.cost if self._of_cost else sums.quality)

    def _surprise(self, sums: Sums) -> float:
        """Per query, as far as chance does not explain it."""
        missed = self._missed(sums)
        chance = DOUBT * sums.steered * self._sd**2
        return (
            (missed - chance / missed) / (sums.steered + PRIOR * exp(-sums.steered / PRIOR_FADES))
            if missed * missed > chance
            else 0.0
        )

    def _debt(self, sums: Sums) -> float:
        """What is owed in all: positive when more quality, or money, may be spent."""
        return sums.aimed - (sums.cost if self._of_cost else sums.quality)

    def _billed_debt(self, sums: Sums) -> float:
        """The same by bills where they have come."""
        return self._debt(sums) - sums.overrun + sums.forgiven

    def _within_limits(self, after: Sums, delta: Sums) -> Sums:
        """The delta with what goes beyond the limits of a debt forgotten; each of the two by itself."""
        debt, billed = self._debt(after), self._billed_debt(after)
        early = inf if self._of_cost else EARLY_DEBT + DEBT_SHARE * after.n
        kept = min(max(debt, -self._most_debt, -early), self._credit, early)
        if not self._of_cost:
            return delta if kept == debt else delta._replace(aimed=delta.aimed + kept - debt)
        kept_billed = min(max(billed, -self._most_debt), self._bill_credit)
        return delta._replace(aimed=delta.aimed + kept - debt, forgiven=kept_billed - billed - (kept - debt))

    def _placed_at(self, sums: Sums, count: int) -> float:
        """The position, remembered: it is asked for a batch's multipliers, and again for what the batch adds."""
        if self._asked[:2] != (sums, count):
            self._asked = (sums, count, self._position(sums, count))
        return self._asked[2]

    def _position(self, sums: Sums, count: int) -> float:
        """Where on the curve the next `count` queries are placed, in knots."""
        debt, aim = self._debt(sums), self._aim(sums)
        if self._of_cost:
            soon, late = debt / max(COST_HORIZON, BATCHES * count), self._billed_debt(sums) / BILL_HORIZON
            wanted = aim + min(soon, late)
            # money is off by a factor, where quality is off by a term: prices and lengths multiply
            foreseen = sums.foreseen - sums.steered * self._surprise(sums)
            return self._where(wanted * (sums.foreseen / foreseen if foreseen > 0 else 1.0))
        settled = aim + self._surprise(sums)
        grown = min(HORIZON_SHARE * sums.steered, SHARE_ENDS)
        horizon = max(self._horizon, FIRST_HORIZON - sums.steered, grown, BATCHES * count)
        ordinary = ORDINARY * self._sd * sqrt(horizon / 2)
        power = max(1.0, abs(debt) / ordinary)
        at = self._where(settled)
        low = self._reach(min(at, self._at), -power * LOG_CHEAPER)
        high = self._reach(max(at, self._at), power * LOG_DEARER)
        return min(max(self._where(settled + debt / horizon), low), high)

    def _thrifty(self) -> float:
        """Queries: the shortest horizon over which chance's debts can be paid off at little more than the goal's cost.

        Paying off moves the aim about the goal by sd / sqrt(2 x horizon). Cost curves upward, so the mean of a step up
        and one down costs more than the goal does: most where the curve is steep.
        """
        horizon = LEAST_HORIZON
        while horizon < MOST_HORIZON:
            step = self._sd / sqrt(2 * horizon)
            down, here, up = np.interp(
                [self._goal - step, self._goal, self._goal + step], self._curve.predicted, self._curve.cost_usd
            )
            if (down + up) / 2 - here <= THRIFT * here:
                break
            horizon *= 1.1
        return horizon

    def _reach(self, at: float, shift: float) -> float:
        """The position whose log multiplier is that of `at` and the shift, but at least the next knot on that side."""
        found, knot = _knot_of(self._read(self._logs, at) + shift, self._logs), floor(at)
        return max(min(found, knot), self._low) if shift < 0 else min(max(found, knot + 1.0), self._high)

    def _where(self, target: float) -> float:
        """The position that gives a target, in knots."""
        return min(max(_knot_of(target, self._marks), self._low), self._high)

    def _read(self, values: Amounts, at: float) -> float:
        """The value at a position; the nearest end's beyond the ends."""
        last = len(values) - 1
        knot = min(max(floor(at), 0), last)
        here = float(values[knot])
        return here if knot == last or at <= knot else here + (float(values[knot + 1]) - here) * (at - knot)

    def _position_of(self, objective: MinQuality | Tradeoff) -> float:
        """Where realised quality is what the objective asks; the nearest end where nothing is."""
        realised = self._curve.realised[: int(self._high) + 1]
        asked = (
            objective.quality
            if isinstance(objective, MinQuality)
            else float(realised[0] + (realised[-1] - realised[0]) * objective.level / 10)
        )
        above = int(np.searchsorted(realised, asked))
        if above == 0:
            return 0.0
        if above == len(realised):
            return self._high
        return above - 1 + float((asked - realised[above - 1]) / (realised[above] - realised[above - 1]))

    def _within_budget(self, usd: float) -> None:
        """Sets the goal so far below the budget, that chance keeps windows within their slack."""
        self._sd = max(float(np.interp(usd, self._curve.cost_usd, self._curve.cost_sd)), LEAST_SD * usd)
        sd = self._sd * sqrt(COST_HORIZON / 2)
        self._credit, self._most_debt = CREDIT * sd, MOST_OVERSPENT * usd
        self._bill_credit = BILL_CREDIT * usd
        # debt swings between the credit and about as much below: a window begins at one end and ends at the other
        self._goal = usd - max(0.0, 2 * CREDIT * sd - SLACK * WINDOW * usd) / WINDOW
        self._at = self._where(self._goal)


def _knot_of(value: float, marks: Sequence[float]) -> float:
    """Where the value lies between ascending marks, in knots. NumPy's interp takes ten times as long for one number."""
    above = bisect_right(marks, value)
    if above in (0, len(marks)):
        return float(max(above - 1, 0))
    return above - 1 + (value - marks[above - 1]) / (marks[above] - marks[above - 1])


def _within(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)
