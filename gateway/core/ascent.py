"""Looks for the prices of the rows that bound the objective best: subgradient steps toward a known answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.assignment import Warm
from gateway.core.relaxation import Dual, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.problem import Floats
    from gateway.core.relaxation import Relaxation

PATIENCE = 6  # steps without a better bound before the step is halved, back at the best prices
MOMENTUM = 0.3  # of the last direction; damps the zigzag of plain subgradients
GLANCE = 8  # steps between two looks at the time
CLOSE = 1e-4  # relative gap at which better prices are worth nothing


def ascend(
    relaxation: Relaxation, start: Warm, upper: float, *, steps: int, alive: Callable[[], bool] = lambda: True
) -> Dual:
    """The best of `steps` bounds.

    Args:
        relaxation: The rows.
        start: Where to begin.
        upper: The penalised objective of some choice that keeps the rows; sets the length of a step.
        steps: At most so many.
        alive: Whether there is time left; asked every GLANCE steps.
    """
    prices, pace = start, 1.0
    reduced = relaxation.reduced(prices)
    bound, choice = value(relaxation, prices, reduced)
    best = Dual(bound, prices, reduced)
    trend, stalled = Warm(np.zeros_like(relaxation.room), np.zeros_like(relaxation.limit)), 0
    for step in range(steps):
        if upper - best.bound <= CLOSE * abs(upper) or (step % GLANCE == GLANCE - 1 and not alive()):
            break
        used = relaxation.used(choice)
        trend = Warm(
            _direction(used.local - relaxation.room, prices.local, relaxation.scale.local, trend.local),
            _direction(used.wide - relaxation.limit, prices.wide, relaxation.scale.wide, trend.wide),
        )
        length = float((trend.local**2).sum() + (trend.wide**2).sum())
        if length == 0:
            break  # every row with a price is exactly used: optimal
        stride = pace * max(upper - bound, 1.0) / length
        prices = Warm(
            np.maximum(0.0, prices.local + stride * trend.local / relaxation.scale.local),
            np.maximum(0.0, prices.wide + stride * trend.wide / relaxation.scale.wide),
        )
        reduced = relaxation.reduced(prices)
        bound, choice = value(relaxation, prices, reduced)
        stalled += 1
        if bound > best.bound:
            best, stalled = Dual(bound, prices, reduced), 0
        elif stalled >= PATIENCE:
            pace, stalled, prices = pace / 2, 0, best.prices
            bound, choice = value(relaxation, prices, best.reduced)
            trend = Warm(np.zeros_like(trend.local), np.zeros_like(trend.wide))
    return best


def _direction(excess: Floats, price: Floats, scale: Floats, trend: Floats) -> Floats:
    """Excess in typical queries; a row with room to spare and no price is left alone."""
    direction: Floats = np.where((price <= 0) & (excess < 0), 0.0, excess / scale) + MOMENTUM * trend
    return direction
