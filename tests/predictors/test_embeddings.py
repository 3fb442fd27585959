"""The cache of embeddings: what it keeps, how much, and from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from predictors.embeddings import OVERHEAD, Embeddings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Embed:
    """Vectors of four numbers that name their text; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.extend(texts)
        return np.array([[len(text), *map(ord, f"{text:3.3}")] for text in texts], np.float32)


def test_a_text_is_embedded_once() -> None:
    kept, embed = Embeddings(), Embed()
    first = kept.get(["one", "two", "one"], embed)
    again = kept.get(["two", "one", "six"], embed)
    assert embed.asked == ["one", "two", "six"]
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(again[0], first[1])
    assert (kept.hits, kept.misses) == (3, 3)


def test_it_is_bounded_by_bytes_and_forgets_what_was_used_least_recently() -> None:
    one = 16 + OVERHEAD
    kept, embed = Embeddings(limit=2 * one), Embed()
    kept.get(["one", "two"], embed)
    kept.get(["one"], embed)
    kept.get(["six"], embed)
    assert (len(kept), kept.size) == (2, 2 * one)
    kept.get(["one", "six", "two"], embed)
    assert embed.asked == ["one", "two", "six", "two"]


def test_a_batch_larger_than_the_cache_is_answered_all_the_same() -> None:
    kept, embed = Embeddings(limit=300), Embed()
    assert [vector[0] for vector in kept.get(["a", "bb", "ccc"], embed)] == [1, 2, 3]
    assert kept.size <= 300


def test_half_characters_are_texts_too() -> None:
    assert len(Embeddings().get(["\ud800"], Embed())) == 1


def test_many_threads_may_ask() -> None:
    kept = Embeddings(limit=20 * (16 + OVERHEAD))

    def ask(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        texts = [f"{number:03d}" for number in rng.integers(0, 40, 2_000)]
        vectors = [kept.get([text], Embed())[0] for text in texts]
        return all((vector[1:] == [*map(ord, text)]).all() for vector, text in zip(vectors, texts, strict=True))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(8)))
    assert kept.hits + kept.misses == 16_000
    assert kept.size == len(kept) * (16 + OVERHEAD)
    assert len(kept) <= 20
