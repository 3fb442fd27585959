"""Which queries are held back together: equal texts never stand on both sides."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from predictors.hashes import text_hashes
from predictors.pool import Pool, Queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.lab.frontier import Ints
    from predictors.base import Prompt

FOLDS = 5
BUNDLES = 12  # groups are left out one by one up to here; beyond, a few at a time


def folds_of(prompts: Sequence[Prompt], count: int = FOLDS, seed: int = 0) -> Ints:
    """(N,) fold of each query, from a hash of its text: stable under order and under other rows."""
    salted = (f"{seed}:{text}".encode() for text in text_hashes(prompts).tolist())
    return np.array([zlib.crc32(text) % count for text in salted], dtype=np.int64)


def bundles_of(groups: Sequence[str], limit: int = BUNDLES) -> Ints:
    """(N,) which part is left out with each query: its group, or one of `limit` bundles of groups like in size."""
    names, which, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    if len(names) <= limit:
        return which.astype(np.int64)
    load = np.zeros(limit, dtype=np.int64)
    bundle = np.zeros(len(names), dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        bundle[group] = int(load.argmin())
        load[bundle[group]] += sizes[group]
    return bundle[which]


def apart(part: Ints, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Ints, Ints]]:
    """(part, training rows, held rows) for each part; a training text that is also held is left out of training."""
    texts = text_hashes(prompts)
    for each in np.unique(part):
        held = np.flatnonzero(part == each)
        rest = np.flatnonzero((part != each) & ~np.isin(texts, texts[held]))
        yield int(each), rest, held


def rows_of(pool: Pool, rows: Ints) -> Pool:
    """The pool of these rows, in this order."""
    at = rows.tolist()
    queries = Queries(
        ids=tuple(pool.queries.ids[row] for row in at),
        texts=tuple(pool.queries.texts[row] for row in at),
        messages=tuple(pool.queries.messages[row] for row in at),
        tools=tuple(pool.queries.tools[row] for row in at),
        prompts=tuple(pool.queries.prompts[row] for row in at),
    )
    return Pool(
        queries=queries,
        groups=tuple(pool.groups[row] for row in at),
        models=pool.models,
        score=pool.score[rows],
        cost=pool.cost[rows],
        input_tokens=pool.input_tokens[rows],
        output_tokens=pool.output_tokens[rows],
        latency=pool.latency[rows],
    )


def models_of(pool: Pool, columns: Ints) -> Pool:
    """The pool with these models alone, in this order."""
    return replace(
        pool,
        models=tuple(pool.models[column] for column in columns.tolist()),
        score=pool.score[:, columns],
        cost=pool.cost[:, columns],
        input_tokens=pool.input_tokens[:, columns],
        output_tokens=pool.output_tokens[:, columns],
        latency=pool.latency[:, columns],
    )
