"""The light encoder: weighted n-grams projected on their main directions, beside the prompt's structure.

For routing it does as well as a sentence transformer at about a hundredth of the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot
from typing import TYPE_CHECKING

import numpy as np

from predictors.encoder import EncoderError, Features
from predictors.ngrams import BUCKETS, ngrams
from predictors.prompt import shorten
from predictors.structure import FEATURES, structure
from predictors.terms import count_terms, project_terms, weighted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from predictors.base import Prompt
    from predictors.encoder import Encoder, Reading
    from predictors.terms import Terms

    Floats = NDArray[np.float32]

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
_AT_ONCE = 16  # whose n-grams are found together: what more of them take no longer fits the cache
_LEAST = 1e-6  # length
_ROUNDS, _SPARE = 1, 32  # power iterations and extra columns of the randomised decomposition
_NOTHING = 1e-9  # of the largest squared singular value: a direction below it is rounding


@dataclass(frozen=True, slots=True)
class Lexical:
    """Vocabulary of V n-grams, D directions.

    Args:
        column: (BUCKETS,) uint16 or wider, the column of a bucket's n-gram, V where it is not kept.
        weight: (V,) float32, inverse document frequency.
        directions: (V, D) float16.
        scale: (D,) float32, standard deviation of each direction over the training texts.
        centre, spread: (FEATURES,) float32, of the structure features.
    """

    column: NDArray[np.unsignedinteger]
    weight: Floats
    directions: Floats
    scale: Floats
    centre: Floats
    spread: Floats
    _weight: Floats = field(init=False, repr=False)  # (V + 1,) the last, of what is not kept, is 0
    _factor: Floats = field(init=False, repr=False)  # (D + FEATURES,) from the projected and standardised to inputs
    _halves: Floats = field(init=False, repr=False)  # (2, D + FEATURES) tells the columns of either kind
    _steps: Floats = field(init=False, repr=False)  # (FEATURES,) 1 / spread

    def __post_init__(self) -> None:
        width = self.scale.size
        factor = np.full(width + FEATURES, SCALE, np.float32)
        factor[:width] /= self.scale
        halves = np.zeros((2, width + FEATURES), np.float32)
        halves[0, :width] = halves[1, width:] = 1
        object.__setattr__(self, "_weight", np.append(self.weight, np.float32(0)))
        object.__setattr__(self, "_factor", factor)
        object.__setattr__(self, "_halves", halves)
        object.__setattr__(self, "_steps", 1 / self.spread)

    @property
    def name(self) -> str:
        """Its engine."""
        return "lexical"

    @property
    def light(self) -> bool:
        """It is."""
        return True

    def encode(self, prompts: Sequence[Prompt]) -> Features:
        """Features of any prompts."""
        rows, buckets = _occurrences(prompts)
        terms, known = count_terms(rows, self.column[buckets], len(prompts), self.weight.size)
        return self.project(terms, known, structure(prompts))

    def project(self, terms: Terms, known: Iterable[float], shape: Floats) -> Features:
        """Features from counts of n-grams, for each row the share of all that are kept, and (Q, FEATURES) structure."""
        width = self.scale.size
        both = np.empty((len(shape), width + FEATURES), np.float32)
        if width:
            project_terms(terms, self._weight, self.directions, both[:, :width])
        standard = both[:, width:]
        np.subtract(shape, self.centre, out=standard)
        standard *= self._steps
        np.minimum(np.maximum(standard, -CLIP, out=standard), CLIP, out=standard)
        lengths = np.sqrt(np.square(both).dot(self._halves.T)).tolist()
        rows = [(*_share(*each), each[0], part) for each, part in zip(lengths, known, strict=True)]
        told = np.array(rows, np.float32).reshape(-1, 4)
        return Features(both * self._factor, both * told[:, :2].dot(self._halves), told[:, 2:])

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """All that `restore` needs: the kept buckets stand for the whole column table."""
        kept = np.zeros(self.weight.size, np.int32)
        buckets = np.flatnonzero(self.column < self.weight.size)
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
            terms, _ = count_terms(*_occurrences(some), len(some), BUCKETS)
            parts.append(_matrix(terms, BUCKETS))
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
        terms = _matrix(weighted(_chosen(counts, kept), weight), kept.size)
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
        terms = _chosen(reading.counts, np.flatnonzero(encoder.column < encoder.weight.size))
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


def _share(grams: float, structure: float) -> tuple[float, float]:
    """Factors on the two halves of a row, from their lengths.

    The n-grams come to length 1, the structure shrinks alike for all; then the two together come to length 1.
    """
    whole, part = 1 / max(grams, _LEAST), STRUCTURE_SHARE / FEATURES**0.5
    length = max(hypot(grams * whole, structure * part), _LEAST)
    return whole / length, part / length


def _spread(shape: Floats) -> Floats:
    """(FEATURES,) what counts as a step of one; endless for what never differed, which nothing can be learned of."""
    deviation = shape.std(axis=0) if len(shape) else np.zeros(FEATURES)
    return np.where(deviation > CONSTANT, deviation + SOFTENING, np.inf).astype(np.float32)


def _chosen(counts: sparse.csr_matrix, kept: NDArray[np.int64]) -> Terms:
    """The columns of (Q, BUCKETS) counts that are kept; faster than scipy's own indexing."""
    columns = _table(kept)[counts.indices]
    known = columns < kept.size
    before = np.concatenate([[0], np.cumsum(known)])
    return counts.data[known], columns[known], before[counts.indptr]


def _matrix(terms: Terms, width: int) -> sparse.csr_matrix:
    from scipy import sparse  # noqa: PLC0415 - of fitting alone: serving imports no scipy

    return sparse.csr_matrix(terms, shape=(terms[2].size - 1, width))


def _occurrences(prompts: Sequence[Prompt]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and bucket of every n-gram of the texts, and of the tools apart from them."""
    found = [
        (rows + start if start else rows, buckets)
        for start in range(0, len(prompts), _AT_ONCE)
        for rows, buckets in [ngrams([shorten(prompt.text) for prompt in prompts[start : start + _AT_ONCE]])]
    ]
    tooled = [row for row, prompt in enumerate(prompts) if prompt.tools]
    if tooled:
        rows, buckets = ngrams([shorten(prompts[row].tools) for row in tooled], salt=_TOOL_SALT)
        found.append((np.array(tooled)[rows], buckets))
    if len(found) == 1:
        return found[0]
    rows, buckets = (np.concatenate(each) for each in zip(*found, strict=True)) if found else ngrams([])
    return rows, buckets


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


def _table(kept: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    column = np.full(BUCKETS, kept.size, np.min_scalar_type(max(kept.size, 256)))
    column[kept] = np.arange(kept.size)
    return column
