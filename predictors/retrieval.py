"""Near past queries and what became of them: exact neighbours with a Beta prior toward each head's mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NEIGHBOURS = 64
NEAREST = (1, 8, 64)  # of so many neighbours the mean likeness tells how near a prompt is
STRENGTH = 16.0  # pseudo-answers of the prior; 16 to 32 keep the optimiser from picking the over-estimated
SHARPNESS = 2.0  # a neighbour counts cosine^SHARPNESS
AT_ONCE = 256  # prompts compared together: bounds the memory


@dataclass(frozen=True, slots=True)
class Memory:
    """N past queries, or centroids of several.

    Args:
        vectors: (N, D) float32, unit.
        mean: (N, H) float32 mean score; 0 where nobody answered.
        count: (N, H) float32 answers behind it.
        size: (N,) float32 queries behind the vector.
    """

    vectors: Floats
    mean: Floats
    count: Floats
    size: Floats


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What is found around Q prompts.

    Args:
        score: (Q, H) float32, expected score.
        coverage: (Q, H) float32, share of the neighbours, weighed by likeness, that the head has answered.
        likeness: (Q, len(NEAREST)) float32, mean cosine of the nearest few.
    """

    score: Floats
    coverage: Floats
    likeness: Floats


class Retrieval:
    """Looks up the neighbours of new queries in a memory."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        # One product and one partial sort: half the time of faiss's flat index on a few thousand rows.
        self._likeness = np.ascontiguousarray(memory.vectors.T, np.float32)
        sums = [memory.mean * memory.count, memory.count, memory.size[:, None]]
        self._sums = np.concatenate(sums, axis=1).astype(np.float32)
        per_row = float(memory.size.mean()) if memory.size.size else 1.0
        self._neighbours = min(len(memory.vectors), max(8, round(NEIGHBOURS / per_row)))
        self._shares = np.zeros((self._neighbours, len(NEAREST)), np.float32)  # of neighbours, the least alike first
        for column, nearest in enumerate(NEAREST):
            counted = min(nearest, self._neighbours)
            self._shares[self._neighbours - counted :, column] = 1 / max(1, counted)

    def __call__(self, vectors: Floats, prior: Floats) -> Neighbourhood:
        """What the neighbours of (Q, D) unit vectors say, shrunk toward the (H,) prior."""
        shape = (len(vectors), prior.size)
        if not self._neighbours or not len(vectors):
            return Neighbourhood(
                np.broadcast_to(prior, shape).astype(np.float32),
                np.zeros(shape, np.float32),
                np.zeros((len(vectors), len(NEAREST)), np.float32),
            )
        if len(vectors) <= AT_ONCE:
            likeness, sums = self._nearest(vectors)
        else:
            found = [self._nearest(vectors[start : start + AT_ONCE]) for start in range(0, len(vectors), AT_ONCE)]
            likeness, sums = (np.concatenate(each) for each in zip(*found, strict=True))
        hits, count, whole = sums[:, : prior.size], sums[:, prior.size : -1], sums[:, -1:]
        return Neighbourhood(
            score=((hits + STRENGTH * prior) / (count + STRENGTH)).astype(np.float32, copy=False),
            coverage=(count / np.maximum(whole, 1e-6)).astype(np.float32, copy=False),
            likeness=likeness,
        )

    def _nearest(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Of (Q, D) vectors: (Q, len(NEAREST)) mean likeness of the nearest, (Q, 2 H + 1) weighed sums over them."""
        cosine = vectors.dot(self._likeness)
        number, size = cosine.shape
        place = cosine.argpartition(size - self._neighbours, axis=1)[:, size - self._neighbours :]
        near = cosine.take(place if number == 1 else place + np.arange(0, number * size, size)[:, None])
        weight = np.maximum(near, 0)
        weight **= SHARPNESS
        sums = (weight[:, None, :] @ self._sums.take(place, axis=0))[:, 0]
        near.sort(axis=1)
        likeness: Floats = near.dot(self._shares)
        return likeness, sums


def remember(vectors: Floats, score: NDArray[np.float64], cells: NDArray[np.int64] | None = None) -> Memory:
    """A memory of every query, or of the centroid of every cell.

    Args:
        vectors: (Q, D) unit.
        score: (Q, H) 0..1, NaN where not known.
        cells: (Q,) the cell of each query, 0..N-1; every query for itself where None.
    """
    known = (~np.isnan(score)).astype(np.float32)
    hits = np.where(known > 0, score, 0).astype(np.float32)
    if cells is None:
        return Memory(vectors, hits, known, np.ones(len(vectors), np.float32))
    number = int(cells.max(initial=-1)) + 1
    size = np.bincount(cells, minlength=number).astype(np.float32)
    sums = [np.zeros((number, table.shape[1]), np.float32) for table in (vectors, hits, known)]
    for total, table in zip(sums, (vectors, hits, known), strict=True):
        np.add.at(total, cells, table)
    centre, hit, count = sums
    centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-6)
    hit /= np.maximum(count, 1)
    return Memory(centre, hit, count, size)
