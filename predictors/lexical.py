"""The light encoder: weighted n-grams projected on their main directions, beside the prompt's structure.

For routing it does as well as a sentence transformer at about a hundredth of the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from predictors.encoder import EncoderError, Features
from predictors.ngrams import BUCKETS, ngrams
from predictors.prompt import shorten
from predictors.structure import FEATURES, structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from predictors.base import Prompt
    from predictors.encoder import Encoder, Reading

    Floats = NDArray[np.float32]
    Shares = NDArray[np.float64]
    Terms = tuple[Floats, NDArray[np.int32], NDArray[np.int64]]  # of a sparse row matrix: values, columns, row starts

VOCABULARY = 16_384  # n-grams kept, the most frequent first
DIRECTIONS = 128
MIN_TEXTS = 3  # an n-gram of fewer texts says nothing about the next one
FIT_TEXTS = 3_000  # the directions of more texts than this are those of a sample
SCALE = 0.5  # standard deviation of an input: larger ones trained worse
STRUCTURE_SHARE = 0.7  # length of the structure beside the unit vector of the n-grams, for retrieval
CONSTANT, SOFTENING = 1e-3, 0.05  # standard deviations of a feature that says nothing, and added to that of others
CLIP = 4.0  # standard deviations
_TOOL_SALT = 0x5851F42D4C957F2D
_READ_AT_ONCE = 512
_LEAST = 1e-6  # length
_ROUNDS, _SPARE = 1, 32  # power iterations and extra columns of the randomised decomposition
_NOTHING = 1e-9  # of the largest squared singular value: a direction below it is rounding


@dataclass(frozen=True, slots=True)
class Lexical:
    """Vocabulary of V n-grams, D directions.

    Args:
        column: (BUCKETS,) int32, the column of a bucket's n-gram, -1 where it is not kept.
        weight: (V,) float32, inverse document frequency.
        directions: (V, D) float16.
        scale: (D,) float32, standard deviation of each direction over the training texts.
        centre, spread: (FEATURES,) float32, of the structure features.
    """

    column: NDArray[np.int32]
    weight: Floats
    directions: Floats
    scale: Floats
    centre: Floats
    spread: Floats
    _factor: Floats = field(init=False, repr=False)  # (D + FEATURES,) from the projected and standardised to inputs
    _halves: Floats = field(init=False, repr=False)  # (D + FEATURES, 2) sums the columns of either kind

    def __post_init__(self) -> None:
        width = self.scale.size
        factor = np.full(width + FEATURES, SCALE, np.float32)
        factor[:width] /= self.scale
        halves = np.zeros((width + FEATURES, 2), np.float32)
        halves[:width, 0] = halves[width:, 1] = 1
        object.__setattr__(self, "_factor", factor)
        object.__setattr__(self, "_halves", halves)

    @property
    def name(self) -> str:
        """Its engine."""
        return "lexical"

    def encode(self, prompts: Sequence[Prompt]) -> Features:
        """Features of any prompts."""
        rows, buckets = _occurrences(prompts)
        columns = self.column[buckets]
        known = columns >= 0
        inside = rows[known]
        terms = _count(inside, columns[known], len(prompts), self.weight.size)
        total, kept = np.bincount(rows, minlength=len(prompts)), np.bincount(inside, minlength=len(prompts))
        return self.project(terms, kept / np.maximum(total, 1), structure(prompts))

    def project(self, terms: Terms, known: Shares, shape: Floats) -> Features:
        """Features from counts of kept n-grams, (Q,) the share of all that they are, and (Q, FEATURES) structure."""
        width = self.scale.size
        both = np.empty((len(shape), width + FEATURES), np.float32)
        _project(_weighted(terms, self.weight), self.directions, both[:, :width])
        standard = (shape - self.centre) / self.spread
        np.minimum(np.maximum(standard, -CLIP, out=standard), CLIP, out=both[:, width:])
        lengths = np.sqrt(np.square(both) @ self._halves)
        # The n-grams come to length 1, the structure shrinks alike for all; then the two together come to length 1.
        share = np.empty_like(lengths)
        share[:, 0] = 1 / np.maximum(lengths[:, 0], _LEAST)
        share[:, 1] = STRUCTURE_SHARE / FEATURES**0.5
        parts = lengths * share
        share /= np.maximum(np.sqrt(np.vecdot(parts, parts)), _LEAST)[:, None]
        vectors = np.empty_like(both)
        np.multiply(both[:, :width], share[:, :1], out=vectors[:, :width])
        np.multiply(both[:, width:], share[:, 1:], out=vectors[:, width:])
        signals = np.empty((len(both), 2), np.float32)
        signals[:, 0], signals[:, 1] = lengths[:, 0], known
        return Features(both * self._factor, vectors, signals)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """All that `restore` needs: the kept buckets stand for the whole column table."""
        kept = np.zeros(self.weight.size, np.int32)
        buckets = np.flatnonzero(self.column >= 0)
        kept[self.column[buckets]] = buckets
        return {
            "buckets": kept,
            "weight": self.weight,
            "directions": self.directions.astype(np.float16),
            "scale": self.scale,
            "centre": self.centre,
            "spread": self.spread,
        }


@dataclass(frozen=True, slots=True)
class LexicalReading:
    """Q prompts: (Q, BUCKETS) counts of n-grams and (Q, FEATURES) structure."""

    counts: sparse.csr_matrix
    shape: Floats

    def rows(self, index: NDArray[np.int64]) -> LexicalReading:
        """Those prompts alone."""
        return LexicalReading(self.counts[index], self.shape[index])


class LexicalEngine:
    """Reads, fits and restores the lexical encoder."""

    def read(self, prompts: Sequence[Prompt]) -> LexicalReading:
        """Counts every n-gram, some prompts at a time to bound the memory."""
        from scipy import sparse  # noqa: PLC0415 - of fitting alone: serving imports no scipy

        parts = [sparse.csr_matrix((0, BUCKETS), dtype=np.float32)]
        for start in range(0, len(prompts), _READ_AT_ONCE):
            some = prompts[start : start + _READ_AT_ONCE]
            parts.append(_matrix(_count(*_occurrences(some), len(some), BUCKETS), BUCKETS))
        counts = sparse.vstack(parts, format="csr", dtype=np.float32)
        return LexicalReading(counts, structure(prompts))

    def fit(self, reading: Reading, seed: int) -> Lexical:
        """Chooses the vocabulary, weighs it and finds its main directions. Any number of prompts, also none."""
        assert isinstance(reading, LexicalReading)  # noqa: S101 - narrows the type; engines read for themselves
        counts, shape = reading.counts, reading.shape
        texts = np.bincount(counts.indices, minlength=BUCKETS)
        kept = np.argsort(-texts, kind="stable")[:VOCABULARY]
        kept = np.sort(kept[texts[kept] >= MIN_TEXTS])
        weight = (1 + np.log((1 + len(shape)) / (1 + texts[kept]))).astype(np.float32)
        terms = _matrix(_weighted(_chosen(counts, kept), weight), kept.size)
        directions = _directions(terms, seed)
        projected = np.asarray(terms @ directions)
        some = bool(len(shape))
        return Lexical(
            column=_table(kept),
            weight=weight,
            directions=directions,
            scale=(projected.std(axis=0) + 1e-3 if some else np.ones(directions.shape[1])).astype(np.float32),
            centre=shape.mean(axis=0) if some else np.zeros(FEATURES, np.float32),
            spread=_spread(shape),
        )

    def project(self, encoder: Encoder, reading: Reading) -> Features:
        """What the encoder makes of prompts that are read already."""
        assert isinstance(reading, LexicalReading)  # noqa: S101 - as above
        assert isinstance(encoder, Lexical)  # noqa: S101 - as above
        terms = _chosen(reading.counts, np.flatnonzero(encoder.column >= 0))
        total = np.asarray(reading.counts.sum(axis=1)).ravel()
        running = np.append(0.0, np.cumsum(terms[0], dtype=np.float64))
        known = running[terms[2][1:]] - running[terms[2][:-1]]
        return encoder.project(terms, known / np.maximum(total, 1), reading.shape)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> Lexical:
        """The encoder that gave these arrays."""
        try:
            buckets = arrays["buckets"].astype(np.int64)
            weight, directions, scale, centre, spread = (
                arrays[name].astype(np.float32) for name in ("weight", "directions", "scale", "centre", "spread")
            )
        except KeyError as error:
            raise EncoderError(f"the lexical encoder lacks its array {error}") from error
        if centre.size != FEATURES or directions.shape[0] != buckets.size:
            raise EncoderError("the lexical encoder was fitted by another version; train the artifact again")
        return Lexical(_table(buckets), weight, directions, scale, centre, spread)


def _spread(shape: Floats) -> Floats:
    """(FEATURES,) what counts as a step of one; endless for what never differed, which nothing can be learned of."""
    deviation = shape.std(axis=0) if len(shape) else np.zeros(FEATURES)
    return np.where(deviation > CONSTANT, deviation + SOFTENING, np.inf).astype(np.float32)


def _chosen(counts: sparse.csr_matrix, kept: NDArray[np.int64]) -> Terms:
    """The columns of (Q, BUCKETS) counts that are kept; faster than scipy's own indexing."""
    columns = _table(kept)[counts.indices]
    known = columns >= 0
    before = np.concatenate([[0], np.cumsum(known)])
    return counts.data[known], columns[known], before[counts.indptr]


def _weighted(terms: Terms, weight: Floats) -> Terms:
    """Sublinear counts times inverse document frequency, each row of unit length."""
    times, columns, start = terms
    values = np.log(times)
    values += 1
    values *= weight.take(columns)
    squares = np.zeros(values.size + 1)
    np.add.accumulate(np.square(values), out=squares[1:])
    ends = squares[start]
    lengths = np.sqrt(np.maximum(ends[1:] - ends[:-1], 1e-24)).astype(np.float32)
    values /= lengths.repeat(start[1:] - start[:-1])
    return values, columns, start


def _project(terms: Terms, directions: Floats, found: Floats) -> None:
    """Fills in the (Q, D) product of a sparse row matrix with (V, D) directions; row by row it needs no scipy."""
    values, columns, start = terms
    bounds = list(pairwise(start.tolist()))
    picked = np.empty((max((end - begin for begin, end in bounds), default=0), directions.shape[1]), np.float32)
    for row, (begin, end) in enumerate(bounds):
        # Into one buffer, and "clip" because columns are in range: half the time of plain indexing.
        some = np.take(directions, columns[begin:end], axis=0, out=picked[: end - begin], mode="clip")
        np.dot(values[begin:end], some, out=found[row])


def _matrix(terms: Terms, width: int) -> sparse.csr_matrix:
    from scipy import sparse  # noqa: PLC0415 - of fitting alone: serving imports no scipy

    return sparse.csr_matrix(terms, shape=(terms[2].size - 1, width))


def _occurrences(prompts: Sequence[Prompt]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and bucket of every n-gram of the texts, and of the tools apart from them."""
    rows, buckets = ngrams([shorten(prompt.text) for prompt in prompts])
    tooled = [row for row, prompt in enumerate(prompts) if prompt.tools]
    if not tooled:
        return rows, buckets
    more, extra = ngrams([shorten(prompts[row].tools) for row in tooled], salt=_TOOL_SALT)
    return np.concatenate([rows, np.array(tooled)[more]]), np.concatenate([buckets, extra])


def _count(rows: NDArray[np.int64], columns: NDArray[np.integer], height: int, width: int) -> Terms:
    """How often each pair of row and column occurs."""
    keys = rows * width
    keys += columns
    keys.sort()
    ends = np.ones(keys.size, np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=ends[:-1])
    last = np.flatnonzero(ends)
    distinct = keys[last]
    times = last.astype(np.float32)
    times[1:] -= last[:-1]
    times[:1] += 1
    start = np.searchsorted(distinct, np.arange(height + 1) * width)
    return times, (distinct % max(width, 1)).astype(np.int32), start


def _directions(terms: sparse.csr_matrix, seed: int) -> Floats:
    """(V, D) right singular vectors of the largest singular values, by a randomised range finder."""
    rng = np.random.default_rng(seed)
    if terms.shape[0] > FIT_TEXTS:
        terms = terms[np.sort(rng.choice(terms.shape[0], FIT_TEXTS, replace=False))]
    rank = min(DIRECTIONS, *terms.shape)
    if not rank:
        return np.zeros((terms.shape[1], 0), np.float32)
    back = terms.T.tocsr()
    basis = terms @ rng.standard_normal((terms.shape[1], rank + _SPARE), dtype=np.float32)
    for _ in range(_ROUNDS):
        basis = terms @ (back @ np.linalg.qr(basis)[0])
    inside = (back @ np.linalg.qr(basis)[0]).astype(np.float64)
    squares, turns = np.linalg.eigh(inside.T @ inside)  # a fifth of the time of an SVD of so tall a matrix
    main = np.argsort(-squares, kind="stable")[:rank]
    some = squares[main] > _NOTHING * squares.max(initial=0)
    right = (inside @ (turns[:, main] / np.sqrt(np.where(some, squares[main], np.inf)))).T
    signs = np.sign(right[np.arange(rank), np.abs(right).argmax(axis=1)])
    # As they are kept in an artifact, so that a predictor says the same before and after it is saved.
    kept = np.ascontiguousarray((right * signs[:, None]).T, np.float16)
    return kept.astype(np.float32)


def _table(kept: NDArray[np.int64]) -> NDArray[np.int32]:
    column = np.full(BUCKETS, -1, np.int32)
    column[kept] = np.arange(kept.size, dtype=np.int32)
    return column
