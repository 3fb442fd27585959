"""Near past queries and what became of them: faiss neighbours with a Beta prior toward each head's mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NEIGHBOURS = 64
STRENGTH = 16.0  # pseudo-answers of the prior; 16 to 32 keep the optimiser from picking the over-estimated
SHARPNESS = 2.0  # a neighbour counts cosine^SHARPNESS


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


class Retrieval:
    """Looks up the neighbours of new queries in a memory."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._index = faiss.IndexFlatIP(max(1, memory.vectors.shape[1]))
        if memory.vectors.size:
            self._index.add(np.ascontiguousarray(memory.vectors, np.float32))
        self._hits = memory.mean * memory.count
        per_row = float(memory.size.mean()) if memory.size.size else 1.0
        self._neighbours = min(len(memory.vectors), max(8, round(NEIGHBOURS / per_row)))

    def __call__(self, vectors: Floats, prior: Floats) -> tuple[Floats, Floats]:
        """Of (Q, D) unit vectors: (Q, H) expected score, and (Q, H) the answers it rests on, weighed by likeness."""
        if not self._index.ntotal or not len(vectors):
            shape = (len(vectors), prior.size)
            return np.broadcast_to(prior, shape).astype(np.float32), np.zeros(shape, np.float32)
        likeness, place = self._index.search(np.ascontiguousarray(vectors, np.float32), self._neighbours)
        weight = np.maximum(likeness, 0) ** SHARPNESS
        support = np.einsum("qk,qkh->qh", weight, self.memory.count[place])
        hits = np.einsum("qk,qkh->qh", weight, self._hits[place])
        return ((hits + STRENGTH * prior) / (support + STRENGTH)).astype(np.float32), support.astype(np.float32)


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
