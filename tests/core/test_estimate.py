"""What other rules would have paid, against looking at every model in turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.estimate import Estimate, Estimates, Source

MODELS = 4
shares = st.lists(st.floats(0, 1), min_size=MODELS, max_size=MODELS)
masks = st.lists(st.booleans(), min_size=MODELS, max_size=MODELS).filter(any)
queries = st.lists(st.tuples(shares, shares, masks, st.sampled_from([0.0, 0.5, 2.0])), min_size=1, max_size=5)


@given(queries)
def test_rivals(drawn: list[tuple[list[float], list[float], list[bool], float]]) -> None:
    none = np.zeros(MODELS)
    stacked = Estimates.stack(
        [
            Estimate(np.array(quality), none, none, none, np.array(cost), Source.PREDICTED)
            for quality, cost, _, _ in drawn
        ]
    )
    told = stacked.rivals(np.array([models for _, _, models, _ in drawn]), [price for *_, price in drawn])
    for rivals, (quality, cost, models, price) in zip(told, drawn, strict=True):
        mine = [model for model in range(MODELS) if models[model]]
        assert rivals.cheapest == min(cost[model] for model in mine)
        assert rivals.best == cost[max(mine, key=lambda model: quality[model])]
        assert rivals.alone == cost[min(mine, key=lambda model: cost[model] - price * quality[model])]
