"""N-grams of many texts at once are those of each text alone."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from predictors.ngrams import BUCKETS, ngrams

texts = st.lists(st.text(max_size=60), max_size=6)


def bag(text: str) -> Counter[int]:
    return Counter(ngrams([text])[1].tolist())


@given(texts)
def test_a_text_has_the_same_ngrams_in_company(several: list[str]) -> None:
    rows, buckets = ngrams(several)
    found: list[Counter[int]] = [Counter() for _ in several]
    for row, bucket in zip(rows.tolist(), buckets.tolist(), strict=True):
        found[row][bucket] += 1
    assert found == [bag(text) for text in several]


@given(st.text())
def test_buckets_are_in_range(text: str) -> None:
    buckets = ngrams([text])[1]
    assert buckets.size == 0 or (buckets.min() >= 0 and buckets.max() < BUCKETS)


def test_words_and_neighbouring_words_count() -> None:
    both = bag("red fox")
    apart = bag("red") + bag("fox")
    pair = both - apart
    assert sum((bag("fox red") & pair).values()) < sum(pair.values()), "the pair knows its order"
    assert bag("it") <= bag("it is")


def test_case_and_digits_fold() -> None:
    assert bag("Paid 17") == bag("paid 42")
    assert bag("17") != bag("170")


def test_marks_are_words_of_their_own() -> None:
    assert bag("f(x)") != bag("f x")


def test_a_salt_keeps_texts_apart() -> None:
    plain, salted = set(ngrams(["one two three"])[1].tolist()), set(ngrams(["one two three"], salt=7)[1].tolist())
    assert not plain & salted


def test_nothing_and_surrogates_are_legal() -> None:
    assert ngrams([])[0].size == 0
    assert ngrams([""])[0].size == 0
    assert ngrams(["\ud800"])[1].size > 0
