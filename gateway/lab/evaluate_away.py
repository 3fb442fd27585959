"""Out of its domain: each group is predicted by what was learned from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.lab import frontier
from gateway.lab.baselines import BLEND, CONSTANT, LOGISTIC
from gateway.lab.evaluate_figures import realised_of
from gateway.lab.evaluate_methods import OURS
from gateway.lab.evaluate_results import Away
from gateway.lab.frontier import Realised
from predictors.metrics import calibration_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.lab.evaluate_fit import Estimates
    from gateway.lab.frontier import Floats, Ints
    from predictors.pool import Pool

COMPARED = (CONSTANT, LOGISTIC, BLEND)


def away(pool: Pool, given: Estimates) -> tuple[Away, ...]:
    """Each part left out, and at the end all of them together. `given` was fitted with whole groups left out."""
    realised = realised_of(pool, given)
    qualities = {OURS: given.quality, **{name: given.baselines[name] for name in COMPARED}}
    costs = {name: given.cost if name == OURS else given.mean_cost for name in qualities}
    rows = []
    for part in np.unique(given.part):
        at = np.flatnonzero(given.part == part)
        name = " + ".join(sorted({pool.groups[row] for row in at.tolist()}))
        rows.append(_row(name, at, qualities, costs, realised))
    return (*rows, _row("all", np.arange(len(given.part)), qualities, costs, realised))


def _row(name: str, at: Ints, qualities: Mapping[str, Floats], costs: Mapping[str, Floats], realised: Realised) -> Away:
    there = Realised(realised.score[at], realised.cost[at], realised.cheapest[at], realised.best[at])
    summary = {
        each: frontier.summary_of(frontier.sweep(qualities[each][at], costs[each][at], there), there)
        for each in qualities
    }
    return Away(
        name=name,
        queries=len(at),
        best_single=frontier.anchors(there)[1][1],
        peak={each: summary[each].peak for each in qualities},
        ece={each: calibration_error(qualities[each][at], there.score) for each in qualities},
        aiq={each: summary[each].aiq for each in qualities},
    )
