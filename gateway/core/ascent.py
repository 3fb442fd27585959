"""Looks for the prices of the rows that bound the objective best: subgradient steps toward a known answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.relaxation import ROUNDING, Dual

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.problem import Floats
    from gateway.core.relaxation import Relaxation

PATIENCE = 3  # steps without a better bound before the step is halved, back at the best prices
MOMENTUM = 0.3  # of the last direction; damps the zigzag of plain subgradients
CLOSE = 1e-4  # relative gap at which better prices are worth nothing
GLANCE = 8  # steps between two looks at the time
DOUBLINGS, HALVINGS = 60, 12  # of the search for a first price of a wide row


def ascend(
    relaxation: Relaxation, start: Floats, upper: float, *, steps: int, alive: Callable[[], bool] = lambda: True
) -> Dual:
    """The best of `steps` bounds.

    Args:
        relaxation: The rows.
        start: (N,) where to begin.
        upper: The penalised objective of some choice that keeps the rows; sets the length of a step.
        steps: At most so many.
        alive: Whether there is time left; asked every GLANCE steps.
    """
    prices, pace, stalled = start, 1.0, 0
    reduced = relaxation.reduced(prices)
    bound, choice = relaxation.value(prices, reduced)
    best = Dual(bound, prices, reduced)
    trend = np.zeros_like(prices)
    for step in range(steps):
        if upper - best.bound <= CLOSE * abs(upper) or (step % GLANCE == GLANCE - 1 and not alive()):
            break
        excess = relaxation.used(choice) - relaxation.room
        # A row with room to spare and no price is left alone.
        excess[(prices <= 0) & (excess < 0)] = 0.0
        trend = excess / relaxation.scale + MOMENTUM * trend
        length = float(trend @ trend)
        if length == 0:
            break  # every row with a price is exactly used: optimal
        stride = pace * max(upper - bound, 1.0) / length
        prices = np.maximum(prices + stride * trend / relaxation.scale, 0.0)
        reduced = relaxation.reduced(prices)
        bound, choice = relaxation.value(prices, reduced)
        stalled += 1
        if bound > best.bound:
            best, stalled = Dual(bound, prices, reduced), 0
        elif stalled >= PATIENCE:
            pace, stalled, prices = pace / 2, 0, best.prices
            bound, choice = relaxation.value(prices, best.reduced)
            trend = np.zeros_like(trend)
    terms = float(np.abs(best.reduced.min(axis=1)).sum() + best.prices @ relaxation.room)
    return Dual(best.bound - ROUNDING * terms, best.prices, best.reduced)


def opening(relaxation: Relaxation) -> Floats:
    """(N,) for each wide row the price at which it would be kept if it were the only row; 0 for the others."""
    prices = np.zeros_like(relaxation.room)
    for row in range(relaxation.wide.start, len(prices)):
        alone = np.zeros_like(prices)

        def kept(price: float, row: int = row, alone: Floats = alone) -> bool:
            alone[row] = price
            _, choice = relaxation.value(alone, relaxation.reduced(alone))
            return bool(relaxation.used(choice)[row] <= relaxation.room[row])

        prices[row] = _least(kept)
    return prices


def _least(kept: Callable[[float], bool]) -> float:
    """About the least price that keeps the row; 0 when none does."""
    if kept(0.0):
        return 0.0
    high = next((2.0**power for power in range(0, DOUBLINGS, 2) if kept(2.0**power)), 0.0)
    low = high / 4
    for _ in range(HALVINGS if high else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if kept(middle) else (middle, high)
    return high
