"""Word and character n-grams of many texts at once, as 64-bit hashes. No loop over tokens or characters.

All texts lie in one byte buffer. The hash of bytes a..b is sum byte[i] BASE^(i-a) mod 2^64, read off one running sum:
BASE is odd, so it has an inverse. Digits hash alike: 17 and 42 are the same word, 170 is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Rows = NDArray[np.int64]

CHARACTER_SIZES = (3, 4, 5)
BUCKETS = 1 << 18
_BASE = 0x9E3779B97F4A7C15  # odd, from the golden ratio
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # the finaliser of splitmix64
_PAIR = np.uint64(_MIX[0])
_SHIFT = np.uint64(64 - BUCKETS.bit_length() + 1)
_STEP = np.uint64(_BASE)
_SPACE, _WORD, _MARK = 0, 1, 2


def _classes() -> NDArray[np.uint8]:
    table = np.full(256, _MARK, np.uint8)
    table[[9, 10, 11, 12, 13, 32, 0]] = _SPACE
    table[48:58] = table[65:91] = table[97:123] = _WORD
    table[128:] = _WORD
    return table


def _folded() -> Words:
    table = np.arange(256, dtype=np.uint64)
    table[65:91] += np.uint64(32)
    table[48:58] = 48
    table[[9, 10, 11, 12, 13, 0]] = 32
    return table + np.uint64(1)


def _powers(base: int, count: int) -> Words:
    """base^0 .. base^(count-1) mod 2^64."""
    steps = np.full(count, base & (2**64 - 1), np.uint64)
    if count:
        steps[0] = 1
    return np.cumprod(steps, dtype=np.uint64)


_CLASS, _FOLD = _classes(), _folded()
_READY = 4_096  # bytes of a few short prompts, whose powers need not be worked out again
_POWERS, _INVERSES = _powers(_BASE, _READY), _powers(_INVERSE, _READY)


def ngrams(texts: Sequence[str], salt: int = 0) -> tuple[Rows, Rows]:
    """Every word, pair of words and character n-gram inside a word.

    Args:
        texts: Q of them; lone surrogates and any other odd text are legal.
        salt: keeps the n-grams of two kinds of text apart.

    Returns:
        For each n-gram its text's row, 0..Q-1, and its bucket, 0..BUCKETS-1. In no particular order.
    """
    pieces = [text.encode("utf-8", "replace") for text in texts]
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    raw = np.frombuffer(b" " + b" ".join(pieces) + b" ", np.uint8)
    lengths = [len(piece) + 1 for piece in pieces]
    lengths[0] += 1  # a text ends with its space, and the first begins with one
    owner = np.repeat(np.arange(len(pieces)), lengths)
    kind, folded = _CLASS[raw], _FOLD[raw]
    places, hashes = _words(kind, folded, owner)
    for place, value in _characters(kind, folded):
        places.append(place)
        hashes.append(value)
    found = np.concatenate(hashes)
    found += np.uint64(salt)
    return owner[np.concatenate(places)], _bucket(found)


def _words(kind: NDArray[np.uint8], folded: Words, owner: Rows) -> tuple[list[Rows], list[Words]]:
    """Places and hashes of words and marks, and of neighbouring pairs in one text."""
    inside, mark = kind == _WORD, kind == _MARK  # neither at the first nor at the last byte
    first = np.flatnonzero(mark[1:] | (inside[1:] > inside[:-1])) + 1
    last = np.flatnonzero(mark[:-1] | (inside[:-1] > inside[1:]))
    ready = folded.size <= _READY
    powers = _POWERS[: folded.size] if ready else _powers(_BASE, folded.size)
    inverses = _INVERSES if ready else _powers(_INVERSE, folded.size)
    running = np.add.accumulate(folded * powers)
    words = (running[last] - running[first - 1]) * inverses[first]
    whose = owner[first]
    together = whose[1:] == whose[:-1]
    pairs = words[:-1] * _PAIR
    pairs += words[1:]
    return [first, first[:-1][together]], [words, pairs[together]]


def _characters(kind: NDArray[np.uint8], folded: Words) -> list[tuple[Rows, Words]]:
    """Places and hashes of the character n-grams that touch one word only; a space may stand at either end."""
    spaces = np.add.accumulate(kind == _SPACE, dtype=np.int32)  # up to and with each byte
    found = []
    rolling = folded
    for size in range(2, max(CHARACTER_SIZES) + 1):
        rolling = rolling[:-1] * _STEP
        rolling += folded[size - 1 :]
        if size not in CHARACTER_SIZES:
            continue
        keep = np.flatnonzero(spaces[size - 2 : -1] == spaces[: 1 - size])
        found.append((keep + 1, rolling[keep] + np.uint64(size)))
    return found


def _bucket(mixed: Words) -> Rows:
    for shift, factor in zip((30, 27), _MIX, strict=True):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> _SHIFT).astype(np.int64)
