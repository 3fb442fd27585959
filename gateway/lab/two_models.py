"""The two-model figures of RouteLLM: how much of a strong model's lead is kept at which share of calls to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gateway.lab.frontier import Floats


@dataclass(frozen=True, slots=True)
class TwoModels:
    """Gap recovered against share of calls to the strong model.

    Args:
        apgr: area under that curve; 0.5 is a coin.
        cpt50: least share of strong calls that recovers half of the gap.
        cpt80: the same for four fifths.
    """

    apgr: float
    cpt50: float
    cpt80: float


def two_models(gain: Floats, weak: Floats, strong: Floats) -> TwoModels:
    """Figures of sending queries to the strong model in falling order of predicted gain.

    Queries of equal gain go in random order: the curve is straight across them.

    Args:
        gain: (N,) predicted quality of the strong model less that of the weak one.
        weak: (N,) realised scores of the weak model.
        strong: (N,) realised scores of the strong model.
    """
    share, recovered = _curve(gain, weak, strong)
    cpt50, cpt80 = (_least_share(share, recovered, wanted) for wanted in (0.5, 0.8))
    return TwoModels(float(np.trapezoid(recovered, share)), cpt50, cpt80)


def _curve(gain: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
    lead = strong.mean() - weak.mean()
    if lead <= 0:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    order = np.argsort(-gain, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(gain[order]) != 0, [True]))
    total = np.cumsum((strong - weak)[order])[ends]
    share = (ends + 1) / len(gain)
    return np.append(0.0, share), np.append(0.0, total / len(gain) / lead)


def _least_share(share: Floats, recovered: Floats, wanted: float) -> float:
    above = int(np.argmax(recovered >= wanted))
    if above == 0:
        return 0.0
    span = recovered[above] - recovered[above - 1]
    return float(share[above - 1] + (share[above] - share[above - 1]) * (wanted - recovered[above - 1]) / span)
