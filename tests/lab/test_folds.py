"""No text on both sides of a fold."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.lab.folds import apart, bundles_of, folds_of
from predictors.base import Prompt

texts = st.lists(st.text(max_size=3), min_size=2, max_size=40)


@given(texts, st.integers(2, 6))
def test_equal_texts_share_a_fold(texts: list[str], count: int) -> None:
    prompts = [Prompt(text) for text in texts]
    parts = folds_of(prompts, count)
    seen: dict[Prompt, int] = {}
    assert all(seen.setdefault(prompt, part) == part for prompt, part in zip(prompts, parts.tolist(), strict=True))


def test_folds_do_not_depend_on_the_other_rows() -> None:
    prompts = [Prompt(str(n)) for n in range(50)]
    assert np.array_equal(folds_of(prompts)[:20], folds_of(prompts[:20]))
    assert len(np.unique(folds_of(prompts))) == 5
    assert not np.array_equal(folds_of(prompts), folds_of(prompts, seed=1))


def test_a_text_of_two_groups_never_trains_its_twin() -> None:
    prompts = [Prompt("same"), Prompt("a"), Prompt("same"), Prompt("b")]
    parts = bundles_of(["x", "x", "y", "y"])
    for _, rest, held in apart(parts, prompts):
        assert {prompts[row] for row in rest}.isdisjoint(prompts[row] for row in held)
    assert [held.tolist() for _, _, held in apart(parts, prompts)] == [[0, 1], [2, 3]]


def test_many_groups_are_left_out_in_bundles_of_like_size() -> None:
    groups = [f"g{n % 57}" for n in range(570)]
    parts = bundles_of(groups, limit=12)
    assert np.bincount(parts).tolist() == [50] * 9 + [40] * 3
    assert all(len({int(parts[row]) for row in range(570) if groups[row] == name}) == 1 for name in set(groups))
