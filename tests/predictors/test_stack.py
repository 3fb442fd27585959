"""The mix of opinions: it trusts what was right, less so far away, and knows how wrong it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from predictors.logits import logit, sigmoid
from predictors.opinions import PARTS, Opinions
from predictors.stack import fit_stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

HEADS = 4
COUNT = 3000
RNG = np.random.default_rng(0)


def opinions(hidden: Doubles, error: Doubles, signal: float, rng: np.random.Generator) -> Opinions:
    """Parts that see the (Q, H) true deviation with an error of their own; their neighbours see nothing."""
    count = len(hidden)
    base = np.full((count, HEADS), 0.5, np.float32)
    seen = (hidden + error).astype(np.float32)
    return Opinions(
        prior=logit(base),
        network=seen,
        network_sd=np.full((count, HEADS), 0.1, np.float32),
        tasks=sigmoid(hidden / 2 + error),
        near=base,
        coverage=np.ones((count, HEADS), np.float32),
        signals=rng.normal(signal, 1, (count, 2)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def world() -> tuple[Opinions, Opinions, Doubles, Doubles]:
    """Near opinions, far opinions that are mostly wrong, scores, and the true chances."""
    hidden = RNG.normal(0, 1, (COUNT, 1)) + RNG.normal(0, 0.5, (COUNT, HEADS))
    chance = sigmoid(hidden).astype(np.float64)
    score = (RNG.random((COUNT, HEADS)) < chance).astype(np.float64)
    near = opinions(hidden, RNG.normal(0, 0.2, (COUNT, HEADS)), 3, RNG)
    far = opinions(-hidden, RNG.normal(0, 1, (COUNT, HEADS)), 0, RNG)
    return near, far, score, chance


NOBODY = np.full(COUNT, -1)


@pytest.mark.parametrize(("truth", "least", "most"), [(1, 0.9, 1.1), (-1, 0.0, 0.5)])
def test_own_deviations_are_as_large_as_they_are_right_where_a_task_was_left_out(
    truth: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(1)
    ability = np.array([0.6, 0.2, 0.0, -0.2])
    own = rng.normal(0, 0.5, (COUNT, HEADS))
    score = (rng.random((COUNT, HEADS)) < sigmoid(ability + own)).astype(np.float64)

    def said(deviation: Doubles) -> Opinions:  # no signal tells near from far
        return replace(
            opinions(deviation, np.zeros((COUNT, HEADS)), 0, rng),
            prior=np.broadcast_to(ability, (COUNT, HEADS)).astype(np.float32),
            tasks=sigmoid(ability + deviation),
            near=sigmoid(ability + deviation),
        )

    near, right = said(own), fit_stack(said(own), said(own), score, partner=NOBODY)
    found = fit_stack(near, said(truth * own), score, partner=NOBODY)
    kept = found.weight[1].sum() / right.weight[1].sum()
    assert least <= kept <= most
    np.testing.assert_allclose(found.weight[0], right.weight[0], atol=0.05)


def test_where_own_deviations_are_made_smaller_what_a_head_is_wont_to_do_is_known_still() -> None:
    rng = np.random.default_rng(1)
    ability = np.array([0.6, 0.2, 0.0, -0.2])  # the prior of all is 0
    own = rng.normal(0, 0.5, (COUNT, HEADS))
    score = (rng.random((COUNT, HEADS)) < sigmoid(ability + own)).astype(np.float64)
    nothing = np.zeros((COUNT, HEADS))
    near, far = opinions(own, nothing, 0, rng), opinions(-own, nothing, 0, rng)
    right, found = (fit_stack(near, each, score, partner=NOBODY) for each in (near, far))
    assert found.weight[1].sum() < 0.8 * right.weight[1].sum()
    np.testing.assert_allclose(found(near)[0].mean(axis=0), score.mean(axis=0), atol=0.02)


def test_near_estimates_are_right_and_calibrated(world: tuple[Opinions, Opinions, Doubles, Doubles]) -> None:
    near, far, score, chance = world
    quality, _, _ = fit_stack(near, far, score, partner=NOBODY)(near)
    assert np.abs(quality - chance).mean() < 0.06
    assert abs(float(quality.mean() - score.mean())) < 0.01


def test_far_estimates_fall_back_to_the_prior(world: tuple[Opinions, Opinions, Doubles, Doubles]) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    quality, spread, _ = stack(far)
    assert np.abs(quality - 0.5).mean() < 0.1
    assert spread.mean() > stack(near)[1].mean()


def test_from_the_cut_on_the_prior_stands_exactly(world: tuple[Opinions, Opinions, Doubles, Doubles]) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    abroad = far.rows(np.flatnonzero(~stack(far)[2][:, 0]))
    assert len(abroad.near) > COUNT // 2
    np.testing.assert_allclose(stack(abroad)[0], 0.5, atol=1e-6)


def test_a_head_speaks_less_for_itself_the_farther_the_query(
    world: tuple[Opinions, Opinions, Doubles, Doubles],
) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    few, edge = near.rows(np.arange(100)), float(stack.edge[0])
    spreads = [
        float(logit(stack.quality(few, np.full((100, 1), distance, np.float32))).std(axis=1).mean())
        for distance in (0.0, edge, edge + 0.1, edge + 0.2, edge + 0.3, 0.95)
    ]
    assert spreads[0] == spreads[1], "at home it says all it knows"
    assert spreads[1:] == sorted(spreads[1:], reverse=True)
    assert spreads[1] > 1.3 * spreads[4] > spreads[5] == 0


def test_small_own_deviations_are_gone_where_in_doubt_and_large_ones_lose_no_more_than_they(
    world: tuple[Opinions, Opinions, Doubles, Doubles],
) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    alone = replace(stack, weight=stack.weight * [[0.0], [1.0]])  # nothing that all heads have in common
    home, doubted = (
        np.abs(logit(alone.quality(near, np.full((COUNT, 1), distance, np.float32))))
        for distance in (0.0, float(stack.edge[0]) + 0.3)
    )
    lost = home - doubted
    small = doubted == 0
    assert 0.05 < small.mean() < 0.9
    assert home[small].max() <= lost[~small].max() + 1e-5
    np.testing.assert_allclose(lost[~small], lost.max(), atol=1e-3)


def test_little_of_what_is_common_stays_where_in_doubt(
    world: tuple[Opinions, Opinions, Doubles, Doubles],
) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    alike = replace(stack, weight=stack.weight * [[1.0], [0.0]], bias=stack.bias * 0, cut=np.ones(1))
    home, doubted = (logit(alike.quality(near, np.full((COUNT, 1), distance, np.float32))) for distance in (0.0, 0.999))
    large = np.abs(home) > 0.5
    kept = doubted[large] / home[large]
    assert 0.1 < kept.min() <= kept.max() < 0.3


def test_where_history_tells_no_home_from_abroad_a_head_still_speaks_at_home(
    world: tuple[Opinions, Opinions, Doubles, Doubles],
) -> None:
    near, _, score, _ = world
    stack = fit_stack(near, near, score, partner=NOBODY)
    far = stack.gate(near.signals)
    assert float(far.mean()) > 0.4, "the gate is at a loss"
    assert 0.55 < float((far <= stack.edge).mean()) < 0.7, "and most of home is on this side of the edge"


def test_parts_that_are_left_out_have_no_weight(world: tuple[Opinions, Opinions, Doubles, Doubles]) -> None:
    near, far, score, _ = world
    weight = fit_stack(near, far, score, partner=NOBODY, parts=("near",)).weight
    assert (weight[:, [PARTS.index("network"), PARTS.index("tasks")]] == 0).all()


def test_the_sd_is_the_error_that_queries_alike_share() -> None:
    """Pairs of queries with one true chance, which the part misses by the same amount."""
    rng = np.random.default_rng(1)
    hidden = np.repeat(rng.normal(0, 1, (COUNT // 2, HEADS)), 2, axis=0)
    missed = np.repeat(rng.normal(0, 0.8, (COUNT // 2, HEADS)), 2, axis=0)
    chance = sigmoid(hidden).astype(np.float64)
    score = (rng.random(chance.shape) < chance).astype(np.float64)
    near = opinions(hidden, missed, 3, rng)
    far = opinions(hidden * 0, missed, 0, rng)
    stack = fit_stack(near, far, score, partner=np.arange(COUNT) ^ 1)
    quality, spread, _ = stack(near)
    error = float(np.sqrt(np.mean((quality - chance) ** 2)))
    assert float(np.sqrt(np.mean(spread**2))) == pytest.approx(error, rel=0.25)


def test_a_head_without_answers_near_by_does_not_speak_for_itself(
    world: tuple[Opinions, Opinions, Doubles, Doubles],
) -> None:
    near, far, score, _ = world
    stack = fit_stack(near, far, score, partner=NOBODY)
    few = near.rows(np.arange(50))
    line = logit(replace(stack, bias=stack.bias * 0)(replace(few, coverage=few.coverage * 0))[0])
    np.testing.assert_allclose(line, line[:, :1] * np.ones((1, HEADS)), atol=2e-3)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_little_to_fit_gives_the_defaults(world: tuple[Opinions, Opinions, Doubles, Doubles], count: int) -> None:
    near, far, score, _ = world
    rows = np.arange(count)
    stack = fit_stack(near.rows(rows), far.rows(rows), score[:count], partner=NOBODY[:count])
    quality, spread, _ = stack(near)
    assert np.isfinite(quality).all()
    assert (spread > 0).all()
    assert (stack.bias == 0).all()


def test_unknown_scores_are_left_out(world: tuple[Opinions, Opinions, Doubles, Doubles]) -> None:
    near, far, score, chance = world
    sparse = np.where(np.random.default_rng(3).random(score.shape) < 0.5, np.nan, score)
    sparse[:, 0] = np.nan
    quality, _, _ = fit_stack(near, far, sparse, partner=np.arange(COUNT)[::-1])(near)
    assert np.abs(quality - chance).mean() < 0.08
