"""N-grams of many texts at once are those of each text alone."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

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


BASE = 0x9E3779B97F4A7C15
SPACE, WORDS = 32, re.compile(rb"[0-9a-z\x80-\xff]+|[^ ]")


def spelled(text: str) -> Counter[int]:
    """The buckets by definition, one n-gram at a time."""
    raw = b" " + "".join("0" if "0" <= each <= "9" else each for each in text).encode().lower() + b" "
    raw = bytes(32 if byte in b"\t\n\v\f\r\0" else byte for byte in raw)
    found = [value(piece) for piece in WORDS.findall(raw)]
    found += [one * 0xBF58476D1CE4E5B9 + other for one, other in pairwise(found)]
    for size in (3, 4, 5):
        grams = (raw[at : at + size] for at in range(len(raw) - size + 1))
        found += [folded(gram) + size for gram in grams if SPACE not in gram[1:-1]]
    return Counter(mixed(each % 2**64) for each in found)


def value(piece: bytes) -> int:
    """Of a word: the first byte counts once, the next BASE times."""
    return sum((byte + 1) * BASE**place for place, byte in enumerate(piece))


def folded(gram: bytes) -> int:
    """Of characters: the last byte counts once, the one before BASE times."""
    return value(gram[::-1])


def mixed(number: int) -> int:
    """The upper bits after splitmix64's finaliser."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        number = (number ^ number >> shift) * factor % 2**64
    return (number ^ number >> 31) >> (64 - BUCKETS.bit_length() + 1)


@given(st.text("aBc 17.(\n\0é", max_size=40))
def test_buckets_are_those_of_the_definition(text: str) -> None:
    assert bag(text) == spelled(text)


def test_long_texts_are_hashed_as_short_ones() -> None:
    assert bag("seven " * 1_000) == spelled("seven " * 1_000)


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
