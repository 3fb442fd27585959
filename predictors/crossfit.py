"""Predictions for queries that the predictor was not trained on: every query's fold is left out once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from predictors.base import Prediction
from predictors.encoder import engine as named_engine
from predictors.hashes import text_hashes
from predictors.history import History, join
from predictors.hybrid import mixed
from predictors.opinions import PARTS, Opinions
from predictors.parts import Parts, fit_parts, label_tasks
from predictors.pool import Pool
from predictors.stack import Stack, fit_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from predictors.encoder import Engine, Reading

    Index = NDArray[np.int64]
    Doubles = NDArray[np.float64]
    Progress = Callable[[str, float], None]

FOLDS = 5
KINDS = {"hybrid": PARTS, "retrieval": ("near",), "trained": ("network", "tasks")}


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Out-of-fold estimates for all Q rows of the joined pools, in order.

    Args:
        history: the joined pools; its models are the columns.
        fold: (Q,) which fold left the row out.
        prediction: (Q, M) estimates by a predictor that saw neither the row nor any other of its fold.
    """

    history: History
    fold: Index
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Held:
    """What parts say of rows that they were not fitted on.

    Args:
        fold: (Q,) which fit left the row out.
        parts: the fits.
        opinions: of Q rows and H heads.
        tokens, cost: (Q, M) deviation of the logarithm from the fit's level.
    """

    fold: Index
    parts: tuple[Parts, ...]
    opinions: Opinions
    tokens: NDArray[np.float32]
    cost: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Study:
    """One history with what was said of each row when its fold, and when its whole task, was left out."""

    history: History
    source: Engine
    reading: Reading
    seed: int
    partner: Index
    near: Held
    far: Held

    def stack(self, predictor: str, rows: Index | None = None) -> Stack:
        """How to mix the parts, fitted on those rows or on all."""
        rows = np.arange(len(self.near.fold)) if rows is None else rows
        place = np.full(len(self.partner) + 1, -1)
        place[rows] = np.arange(len(rows))
        return fit_stack(
            self.near.opinions.rows(rows),
            self.far.opinions.rows(rows),
            self.history.head_score()[rows],
            partner=place[self.partner[rows]],
            parts=KINDS[predictor],
        )

    def estimates(self, predictor: str, held: Held | None = None) -> Prediction:
        """(Q, M) estimates for rows held out, the stack of each fold fitted on the other folds' rows."""
        held = held or self.near
        order, found = [], []
        for each, parts in enumerate(held.parts):
            rows = np.flatnonzero(held.fold == each)
            stack = self.stack(predictor, np.flatnonzero(held.fold != each))
            opinions = held.opinions.rows(rows)
            found.append(mixed(stack, parts, opinions, held.tokens[rows], held.cost[rows], head=self.history.head))
            order.append(rows)
        back = np.argsort(np.concatenate(order))
        tables = [[getattr(each, part.name) for each in found] for part in fields(Prediction)]
        return Prediction(*(np.concatenate(table)[back] for table in tables))


def crossfit(
    pools: Pool | Sequence[Pool],
    folds: int = FOLDS,
    seed: int = 0,
    *,
    by: str = "query",
    encoder: str = "lexical",
    predictor: str = "hybrid",
    progress: Progress | None = None,
) -> CrossFit:
    """Predicts every row by a predictor fitted on the other folds.

    Args:
        pools: one or several.
        folds: how many random folds; queries with one text stay together.
        seed: of the folds and of every fit.
        by: "query" for random folds; "group" leaves one group of a pool out at a time (one cluster, where it has none).
        encoder: engine of the encoder.
        predictor: one of KINDS.
        progress: told what is being done, and the share done of it.
    """
    history = join([pools] if isinstance(pools, Pool) else pools)
    tell = progress or _silent
    found = study(history, named_engine(encoder), folds=folds, seed=seed, progress=tell)
    if by == "query":
        return CrossFit(history, found.near.fold, found.estimates(predictor))
    fold = group_folds(history, found.source, found.reading, seed)
    held = held_out(history, found.source, found.reading, fold, seed=seed, progress=lambda share: tell("groups", share))
    return CrossFit(history, fold, found.estimates(predictor, held))


def study(history: History, source: Engine, *, folds: int, seed: int, progress: Progress, cell_size: int = 1) -> Study:
    """Fits parts with every random fold, and with every few tasks, left out once."""
    reading = source.read(history.prompts)
    fold = folds_by_text(history, folds, seed)
    near = held_out(
        history, source, reading, fold, seed=seed, cell_size=cell_size, progress=lambda share: progress("folds", share)
    )
    apart = folds_by_task(history, source, reading, seed)
    far = held_out(
        history,
        source,
        reading,
        apart,
        seed=seed,
        cell_size=cell_size,
        progress=lambda share: progress("tasks left out", share),
    )
    return Study(history, source, reading, seed, partners(history, source, reading, seed), near, far)


def held_out(
    history: History,
    source: Engine,
    reading: Reading,
    fold: Index,
    *,
    seed: int,
    progress: Callable[[float], None],
    cell_size: int = 1,
) -> Held:
    """What parts fitted on the other folds say of each fold's rows."""
    number = int(fold.max(initial=-1)) + 1
    order, fits, found = [], [], []
    for each in range(number):
        inside, outside = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
        parts, _ = fit_parts(history.rows(outside), source, reading.rows(outside), seed=seed, cell_size=cell_size)
        features = source.project(parts.encoder, reading.rows(inside))
        deviations = parts.tokens.deviation(features.inputs), parts.cost.deviation(features.inputs)
        found.append((parts.opinions(features), *deviations))
        fits.append(parts)
        order.append(inside)
        progress((each + 1) / number)
    back = np.argsort(np.concatenate(order))
    opinions, tokens, cost = zip(*found, strict=True)
    return Held(
        fold,
        tuple(fits),
        Opinions.concatenate(list(opinions)).rows(back),
        np.concatenate(tokens)[back],
        np.concatenate(cost)[back],
    )


def folds_by_text(history: History, folds: int, seed: int) -> Index:
    """(Q,) random fold of each query; equal texts share theirs."""
    _, text = np.unique(text_hashes(history.prompts), return_inverse=True)
    number = int(text.max(initial=-1)) + 1
    return (np.random.default_rng(seed).permutation(number) % folds)[text.ravel()]


def partners(history: History, source: Engine, reading: Reading, seed: int) -> Index:
    """(Q,) the row of the most alike query of another text, -1 where there is none."""
    import faiss  # noqa: PLC0415 - of fitting alone: serving does without

    vectors = source.project(source.fit(reading, seed), reading).vectors
    _, text = np.unique(text_hashes(history.prompts), return_inverse=True)
    index = faiss.IndexFlatIP(max(1, vectors.shape[1]))
    index.add(np.ascontiguousarray(vectors))
    _, place = index.search(np.ascontiguousarray(vectors), min(4, len(vectors)))
    other = (place >= 0) & (text.ravel()[place] != text.ravel()[:, None])
    first = np.argmax(other, axis=1)
    return np.where(other.any(axis=1), place[np.arange(len(place)), first], -1)


def group_folds(history: History, source: Engine, reading: Reading, seed: int) -> Index:
    """(Q,) each group, or cluster where a pool has no groups, as a fold of its own."""
    encoder = source.fit(reading, seed)
    return label_tasks(history, source.project(encoder, reading).vectors, seed)


def folds_by_task(history: History, source: Engine, reading: Reading, seed: int) -> Index:
    """(Q,) whole tasks dealt to at most FOLDS folds, the largest first to the fold that holds least."""
    task = group_folds(history, source, reading, seed)
    sizes = np.bincount(task)
    load = np.zeros(min(FOLDS, len(sizes)))
    place = np.zeros(len(sizes), np.int64)
    for each in np.argsort(-sizes, kind="stable"):
        place[each] = load.argmin()
        load[place[each]] += sizes[each]
    return place[task]


def _silent(_step: str, _share: float) -> None:
    pass
