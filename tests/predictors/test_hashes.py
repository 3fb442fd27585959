"""Hashes of texts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.base import Prompt
from predictors.hashes import text_hash, text_hashes


@given(st.text())
def test_white_space_does_not_count(text: str) -> None:
    assert text_hash(f" \n{text}\t ") == text_hash(text)


@given(st.lists(st.text()))
def test_one_hash_for_each(texts: list[str]) -> None:
    hashes = text_hashes([Prompt(text) for text in texts])
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [text_hash(text) for text in texts]


def test_it_is_the_same_everywhere() -> None:
    assert text_hash("one two") == text_hash("one  two") != text_hash("onetwo")
    assert text_hash("one two") == 6767795236808542983
