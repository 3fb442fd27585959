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
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # the finaliser of splitmix64, whose last step moves no upper bit
_SPACE, _WORD, _MARK = 0, 1, 2  # a word begins where the kind is more than the one before, counted in words alone


def _word(number: int) -> Words:
    """An array of no dimension: as a scalar it would be made one at every use, which takes as long as the sum."""
    return np.array(number, np.uint64)


_TURNS = tuple((_word(shift), _word(factor)) for shift, factor in zip((30, 27), _MIX, strict=True))
_SHIFT = _word(64 - BUCKETS.bit_length() + 1)
_ONE, _STEP, _PAIR = _word(1), _word(_BASE), _word(_MIX[0])
_SIZES = tuple(_word(size) for size in CHARACTER_SIZES)


def _classes() -> bytes:
    table = np.full(256, _MARK, np.uint8)
    table[[9, 10, 11, 12, 13, 32, 0]] = _SPACE
    table[48:58] = table[65:91] = table[97:123] = _WORD
    table[128:] = _WORD
    return table.tobytes()


def _folded() -> bytes:
    table = np.arange(256, dtype=np.uint8)
    table[65:91] += 32
    table[48:58] = 48
    table[[9, 10, 11, 12, 13, 0]] = 32
    return table.tobytes()


def _powers(base: int, count: int) -> Words:
    """base^0 .. base^(count-1) mod 2^64."""
    steps = np.full(count, base & (2**64 - 1), np.uint64)
    if count:
        steps[0] = 1
    return np.cumprod(steps, dtype=np.uint64)


_CLASS, _FOLD = _classes(), _folded()  # for bytes.translate, which takes a tenth of the time of a table that is indexed
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
    raw = b" %b " % b" ".join(pieces)
    kind = np.frombuffer(raw.translate(_CLASS), np.uint8)
    folded = np.frombuffer(raw.translate(_FOLD), np.uint8).astype(np.uint64)
    folded += _ONE
    owner = None
    if len(pieces) > 1:
        lengths = [len(piece) + 1 for piece in pieces]
        lengths[0] += 1  # a text ends with its space, and the first begins with one
        owner = np.arange(len(pieces)).repeat(lengths)
    rows, hashes = _words(kind, folded, owner)
    inside, grams = _characters(kind, folded)
    found = np.concatenate([*hashes, grams])
    if salt:
        found += np.uint64(salt)
    if owner is None:
        return np.zeros(found.size, np.int64), _bucket(found)
    second = (owner[1 : 2 - size] for size in CHARACTER_SIZES)  # the first byte may be the space of the text before
    return np.concatenate([*rows, np.concatenate([*second])[inside]]), _bucket(found)


def _words(kind: NDArray[np.uint8], folded: Words, owner: Rows | None) -> tuple[list[Rows], list[Words]]:
    """Rows and hashes of words and marks, and of neighbouring pairs in one text; no rows where all are of one text."""
    word = kind & _WORD
    # Neither at the first nor at the last byte. Both are places of the byte before what is meant.
    first, last = (kind[1:] > word[:-1]).nonzero()[0], (kind[:-1] > word[1:]).nonzero()[0]
    ready = folded.size <= _READY
    powers = _POWERS[: folded.size] if ready else _powers(_BASE, folded.size)
    inverses = _INVERSES if ready else _powers(_INVERSE, folded.size)
    running = np.add.accumulate(folded * powers)
    words = running[last]
    words -= running[first]
    words *= inverses[1:][first]
    pairs = words[:-1] * _PAIR
    pairs += words[1:]
    if owner is None:
        return [], [words, pairs]
    whose = owner[1:][first]
    together = whose[1:] == whose[:-1]
    return [whose, whose[:-1][together]], [words, pairs[together]]


def _characters(kind: NDArray[np.uint8], folded: Words) -> tuple[NDArray[np.bool_], Words]:
    """Hashes of the character n-grams that touch one word only; a space may stand at either end.

    Which of all they are comes with them: each size's one after another, by place.
    """
    whole = kind != _SPACE
    rolling, within = folded[:-1] * _STEP, whole[1:-1]
    rolling += folded[1:]
    found: list[Words] = []
    inside: list[NDArray[np.bool_]] = []
    for size in CHARACTER_SIZES:
        rolling = rolling[:-1] * _STEP
        rolling += folded[size - 1 :]
        if inside:
            within = within[:-1] & whole[size - 2 : -1]
        found.append(rolling)
        inside.append(within)
    for hashes, own in zip(found, _SIZES, strict=True):
        np.add(hashes, own, out=hashes)
    kept = np.concatenate(inside)
    return kept, np.concatenate(found)[kept]


def _bucket(mixed: Words) -> Rows:
    for shift, factor in _TURNS:
        mixed ^= mixed >> shift
        mixed *= factor
    mixed >>= _SHIFT
    return mixed.view(np.int64)
