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
_SHIFT = np.uint64(64 - BUCKETS.bit_length() + 1)
_SPACE, _WORD, _MARK = 0, 1, 2


def _classes() -> NDArray[np.uint8]:
    table = np.full(256, _MARK, np.uint8)
    table[[9, 10, 11, 12, 13, 32, 0]] = _SPACE
    table[48:58] = table[65:91] = table[97:123] = _WORD
    table[128:] = _WORD
    return table


def _folded() -> NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    table[65:91] += 32
    table[48:58] = 48
    table[[9, 10, 11, 12, 13, 0]] = 32
    return table


_CLASS, _FOLD = _classes(), _folded()


def ngrams(texts: Sequence[str], salt: int = 0) -> tuple[Rows, Rows]:
    """Every word, pair of words and character n-gram inside a word.

    Args:
        texts: Q of them; lone surrogates and any other odd text are legal.
        salt: keeps the n-grams of two kinds of text apart.

    Returns:
        For each n-gram its text's row, 0..Q-1, and its bucket, 0..BUCKETS-1. In no particular order.
    """
    pieces = [text.encode("utf-8", "replace") for text in texts]
    lengths = np.array([len(piece) + 1 for piece in pieces], np.int64)
    raw = np.frombuffer(b" " + b" ".join(pieces) + b" ", np.uint8)
    owner = np.repeat(np.arange(len(pieces)), lengths)  # of each byte but the first; a text ends with its space
    owner = np.concatenate([np.zeros(1, np.int64), owner]) if pieces else np.zeros(raw.size, np.int64)
    kind, folded = _CLASS[raw], _FOLD[raw].astype(np.uint64) + np.uint64(1)
    words, pairs, first = _words(kind, folded, owner)
    rows = [owner[first], owner[first[:-1]][pairs[0]]]
    hashes = [words, pairs[1]]
    for row, value in _characters(kind, folded, owner):
        rows.append(row)
        hashes.append(value)
    return np.concatenate(rows), _bucket(np.concatenate(hashes) + np.uint64(salt))


def _words(kind: NDArray[np.uint8], folded: Words, owner: Rows) -> tuple[Words, tuple[NDArray[np.bool_], Words], Rows]:
    """Hashes of words and marks, of neighbouring pairs in one text (mask, hash), and where each word begins."""
    inside = kind == _WORD
    begins = (kind == _MARK) | (inside & ~np.concatenate([[False], inside[:-1]]))
    ends = (kind == _MARK) | (inside & ~np.concatenate([inside[1:], [False]]))
    first, last = np.flatnonzero(begins), np.flatnonzero(ends)
    powers = _powers(_BASE, folded.size)
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(folded * powers)])
    words = (running[last + 1] - running[first]) * _powers(_INVERSE, folded.size)[first]
    together = owner[first[1:]] == owner[first[:-1]]
    pairs = (words[:-1] * np.uint64(_MIX[0]) + words[1:])[together]
    return words, (together, pairs), first


def _characters(kind: NDArray[np.uint8], folded: Words, owner: Rows) -> list[tuple[Rows, Words]]:
    """Hashes of the character n-grams that touch one word only; a space may stand at either end."""
    space = (kind == _SPACE).astype(np.int64)
    spaces = np.concatenate([[0], np.cumsum(space)])
    found = []
    rolling = folded
    for size in range(2, max(CHARACTER_SIZES) + 1):
        rolling = rolling[:-1] * np.uint64(_BASE) + folded[size - 1 :]
        if size not in CHARACTER_SIZES:
            continue
        begin = np.arange(rolling.size)
        within = spaces[begin + size - 1] == spaces[begin + 1]
        within &= space[begin + 1] == 0
        keep = np.flatnonzero(within)
        found.append((owner[keep + 1], rolling[keep] + np.uint64(size)))
    return found


def _powers(base: int, count: int) -> Words:
    """base^0 .. base^(count-1) mod 2^64."""
    steps = np.full(count, base & (2**64 - 1), np.uint64)
    if count:
        steps[0] = 1
    return np.cumprod(steps, dtype=np.uint64)


def _bucket(hashes: Words) -> Rows:
    mixed = hashes
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX[0])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX[1])
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> _SHIFT).astype(np.int64)
