"""Multipliers that are set beforehand keep what they were set for, and two mixed cost less than one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway.lab import aim
from gateway.lab.evaluate_fit import Estimates
from gateway.lab.frontier import Realised
from tests.core.samples import constants, sample

if TYPE_CHECKING:
    from gateway.core.curve import Sample
    from gateway.lab.frontier import Floats

KEPT = 0.97


def run(mix: aim.Mix, queries: Sample) -> tuple[Floats, Floats]:
    rows = np.zeros(len(queries.weight), dtype=np.int64)
    given = Estimates(
        quality=queries.quality,
        quality_sd=queries.quality_sd,
        cost=queries.cost_usd,
        output_tokens=queries.cost_usd,
        baselines={},
        mean_cost=queries.cost_usd,
        cheapest=rows,
        best=rows,
        part=rows,
        samples={0: queries},
        fit_seconds=(),
    )
    return aim.hold(given, {0: mix}, Realised(queries.score, queries.cost_usd, rows, rows))


def test_a_mixture_realises_what_was_asked_and_costs_no_more_than_one_multiplier() -> None:
    known = sample()
    wanted = KEPT * float(known.score.mean(axis=0).max())
    paid, score = run(aim.mixed(known, KEPT), known)
    alone, reached = run(aim.single(known, KEPT), known)
    assert float(score.mean()) == pytest.approx(wanted, abs=0.002)
    assert float(reached.mean()) >= wanted - 0.002
    assert float(paid.mean()) <= float(alone.mean()) * 1.001


def test_it_holds_on_queries_that_it_was_not_set_on() -> None:
    fresh = sample(seed=3, queries=6_000)
    _, score = run(aim.mixed(sample(queries=6_000), KEPT), fresh)
    assert float(score.mean()) == pytest.approx(KEPT * float(fresh.score.mean(axis=0).max()), abs=0.02)


def test_shares_add_up_and_rise_with_what_is_asked() -> None:
    known = sample()
    mixes = [aim.mixed(known, kept) for kept in (0.5, 0.9, 0.95, 1.0, 1.5)]
    assert [sum(share for _, share in mix) for mix in mixes] == pytest.approx([1.0] * 5)
    means = [sum(np.log(multiplier) * share for multiplier, share in mix) for mix in mixes]
    assert means == sorted(means)
    assert len(mixes[-1]) == 1, "what cannot be reached gets the best there is"


def test_constants_are_mixed_on_the_line_between_two_models() -> None:
    """The cheap one has .6, the dear one .9; 0.8 takes two thirds of the dear one's answers."""
    known = constants([0.6, 0.9], [1e-4, 1e-3])
    mix = aim.mixed(known, 0.8 / 0.9)
    assert [share for _, share in mix] == pytest.approx([1 / 3, 2 / 3], abs=1e-6)
