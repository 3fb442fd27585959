"""Predictions for queries that the predictor was not trained on: every query's fold is left out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.base import Prediction
from predictors.encoder import engine as named_engine
from predictors.hashes import text_hashes
from predictors.history import History, join
from predictors.parts import fit_parts, label_tasks
from predictors.pool import Pool
from predictors.stack import PARTS, Opinions, Stack, fit_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from predictors.encoder import Engine, Reading

    Index = NDArray[np.int64]
    Doubles = NDArray[np.float64]
    Progress = Callable[[str, float], None]

FOLDS = 5
KINDS = {"hybrid": PARTS, "retrieval": ("near",), "trained": ("network", "tasks")}
FAR_WEIGHT = 0.5  # of a query whose whole task was left out, beside one of a random fold


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
        opinions: of Q rows and H heads.
        quantiles: (Q, M, QUANTILES) output tokens.
        cost: (Q, M) USD.
    """

    opinions: Opinions
    quantiles: NDArray[np.float32]
    cost: Doubles


@dataclass(frozen=True, slots=True)
class Study:
    """One history with what was said of each row when its fold, and when its whole task, was left out."""

    history: History
    source: Engine
    reading: Reading
    seed: int
    fold: Index
    near: Held
    far: Held

    def stack(self, predictor: str, rows: Index | None = None) -> Stack:
        """The stack fitted on those rows, or on all: once as of random folds, once with their whole task left out."""
        rows = np.arange(len(self.fold)) if rows is None else rows
        score = self.history.head_score()[rows]
        return fit_stack(
            Opinions.concatenate([self.near.opinions.rows(rows), self.far.opinions.rows(rows)]),
            np.concatenate([score, score]),
            np.repeat([1.0, FAR_WEIGHT], len(rows)),
            KINDS[predictor],
        )

    def estimates(self, predictor: str, fold: Index | None = None, judged: Held | None = None) -> Prediction:
        """(Q, M) estimates, the stack of each fold fitted on the other folds' rows. Ours, or of another split."""
        fold, judged = self.fold if fold is None else fold, judged or self.near
        heads = self.history.head
        quality = np.zeros((len(fold), len(heads)), np.float32)
        spread = np.zeros_like(quality)
        for each in range(int(fold.max(initial=-1)) + 1):
            rows = np.flatnonzero(fold == each)
            mean, deviation = self.stack(predictor, np.flatnonzero(fold != each))(judged.opinions.rows(rows))
            quality[rows], spread[rows] = mean[:, heads], deviation[:, heads]
        return Prediction(quality, spread, judged.quantiles, judged.cost)


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
        return CrossFit(history, found.fold, found.estimates(predictor))
    fold = group_folds(history, found.source, found.reading, seed)
    held = held_out(history, found.source, found.reading, fold, seed=seed, progress=lambda share: tell("groups", share))
    return CrossFit(history, fold, found.estimates(predictor, fold, held))


def study(history: History, source: Engine, *, folds: int, seed: int, progress: Progress) -> Study:
    """Fits parts with every random fold, and with every few tasks, left out once."""
    reading = source.read(history.prompts)
    fold = folds_by_text(history, folds, seed)
    near = held_out(history, source, reading, fold, seed=seed, progress=lambda share: progress("folds", share))
    apart = folds_by_task(history, source, reading, seed)
    far = held_out(history, source, reading, apart, seed=seed, progress=lambda share: progress("tasks left out", share))
    return Study(history, source, reading, seed, fold, near, far)


def held_out(
    history: History,
    source: Engine,
    reading: Reading,
    fold: Index,
    *,
    seed: int,
    progress: Callable[[float], None],
) -> Held:
    """What parts fitted on the other folds say of each fold's rows."""
    number = int(fold.max(initial=-1)) + 1
    order, found = [], []
    for each in range(number):
        inside, outside = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
        parts, _ = fit_parts(history.rows(outside), source, reading.rows(outside), seed=seed)
        features = source.project(parts.encoder, reading.rows(inside))
        opinions = parts.opinions(features)
        found.append(Held(opinions, parts.tokens.quantiles(features.inputs), parts.cost.mean(features.inputs)))
        order.append(inside)
        progress((each + 1) / number)
    back = np.argsort(np.concatenate(order))
    return Held(
        Opinions.concatenate([each.opinions for each in found]).rows(back),
        np.concatenate([each.quantiles for each in found])[back],
        np.concatenate([each.cost for each in found])[back],
    )


def folds_by_text(history: History, folds: int, seed: int) -> Index:
    """(Q,) random fold of each query; equal texts share theirs."""
    _, text = np.unique(text_hashes(history.prompts), return_inverse=True)
    number = int(text.max(initial=-1)) + 1
    return (np.random.default_rng(seed).permutation(number) % folds)[text.ravel()]


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
