"""The papers' plug-in estimate: the plain mean score of the nearest past queries, shrunk toward nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.hybrid import Hybrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.frontier import Floats
    from predictors.base import Predictor, Prompt

NEIGHBOURS = 16
AT_ONCE = 512  # prompts compared together: bounds the memory


def plain_neighbours(predictor: Predictor, prompts: Sequence[Prompt]) -> Floats | None:
    """(Q, M) mean score of the 16 nearest queries in the predictor's memory; None for one that keeps none.

    Where a memory keeps centroids of several queries, as many centroids as make up 16 are asked. A model that no
    neighbour has a score of gets its mean over the memory.
    """
    if not isinstance(predictor, Hybrid) or not len(predictor.parts.retrieval.memory.vectors):
        return None
    memory = predictor.parts.retrieval.memory
    hits = memory.mean * memory.count
    mean = hits.sum(axis=0) / np.maximum(memory.count.sum(axis=0), 1)
    count = min(len(memory.vectors), max(1, round(NEIGHBOURS / float(memory.size.mean()))))
    rows = []
    for start in range(0, len(prompts), AT_ONCE):
        near = predictor.parts.encoder.encode(prompts[start : start + AT_ONCE]).vectors @ memory.vectors.T
        nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
        found = memory.count[nearest].sum(axis=1)
        rows.append(np.where(found > 0, hits[nearest].sum(axis=1) / np.maximum(found, 1), mean))
    plain = np.concatenate(rows) if rows else np.empty((0, len(mean)))
    return plain[:, predictor.head].astype(np.float64)
