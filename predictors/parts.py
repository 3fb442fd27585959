"""The parts of a predictor, fitted on one history: encoder, network, task mixture, memory, amounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from predictors.amounts import Amounts, fit_amounts
from predictors.cells import cells_by_pattern
from predictors.history import NO_GROUP
from predictors.logits import logit
from predictors.network import Network, fit_network
from predictors.opinions import Opinions
from predictors.retrieval import Memory, Retrieval, remember
from predictors.tasks import Tasks, fit_tasks
from predictors.territory import Territory, fit_territory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from predictors.encoder import Encoder, Engine, Features, Reading
    from predictors.history import History

    Floats = NDArray[np.float32]
    Index = NDArray[np.int64]

CLUSTERS = 12  # tasks of a pool that names none
ROWS_PER_CLUSTER = 40


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything but how it is mixed. H heads, M models.

    Args:
        encoder: prompts to features.
        network: features to logits and shares of tasks.
        tasks: mean scores by task.
        inputs, hidden: where tasks lie among the network's inputs, and in its hidden layer.
        retrieval: the memory.
        tokens, cost: amounts by model.
    """

    encoder: Encoder
    network: Network
    tasks: Tasks
    inputs: Territory
    hidden: Territory
    retrieval: Retrieval
    tokens: Amounts
    cost: Amounts
    _prior: Floats = field(init=False, repr=False)  # (1, H) logit

    def __post_init__(self) -> None:
        object.__setattr__(self, "_prior", logit(self.tasks.prior)[None, :])

    def opinions(self, features: Features) -> Opinions:
        """What each part says of the prompts."""
        read = self.network(features.inputs)
        around = self.retrieval(features.vectors, self.tasks.prior)
        signals = [
            features.signals,
            around.likeness,
            read.energy,
            self.inputs.nearness(features.inputs),
            self.hidden.nearness(read.hidden),
        ]
        return Opinions(
            prior=self._prior,
            network=read.deviation,
            network_sd=read.doubt,
            tasks=read.task @ self.tasks.mean,
            near=around.score,
            coverage=around.coverage,
            signals=np.concatenate(signals, axis=1),
        )


def fit_parts(
    history: History,
    engine: Engine,
    reading: Reading,
    *,
    seed: int,
    cell_size: int = 1,
    progress: Callable[[float], None] | None = None,
) -> tuple[Parts, Features]:
    """Fits all parts on every row of a history, whose prompts `reading` holds; gives their features too."""
    encoder = engine.fit(reading, seed)
    features = engine.project(encoder, reading)
    score = history.head_score()
    task = label_tasks(history, features.vectors, seed)
    number = int(task.max(initial=-1)) + 1
    tasks = fit_tasks(score, task, number)
    network = fit_network(features.inputs, score, logit(tasks.prior), task, number, seed=seed, progress=progress)
    parts = Parts(
        encoder=encoder,
        network=network,
        tasks=tasks,
        inputs=fit_territory(features.inputs, task),
        hidden=fit_territory(network(features.inputs).hidden, task),
        retrieval=Retrieval(_memory(features.vectors, score, cell_size)),
        tokens=fit_amounts(features.inputs, history.output_tokens),
        cost=fit_amounts(features.inputs, history.cost),
    )
    return parts, features


def label_tasks(history: History, vectors: Floats, seed: int) -> Index:
    """(Q,) task of each query, 0..: its group, or its cluster within a pool that names none."""
    _, task = np.unique(history.group, return_inverse=True)
    task = np.where(history.group == NO_GROUP, NO_GROUP, task - (history.group.min(initial=0) == NO_GROUP))
    for source in np.unique(history.source[task == NO_GROUP]):
        rows = np.flatnonzero((task == NO_GROUP) & (history.source == source))
        task[rows] = _clusters(vectors[rows], seed) + task.max(initial=-1) + 1
    return task.astype(np.int64)


def _clusters(vectors: Floats, seed: int) -> Index:
    number = min(CLUSTERS, len(vectors) // ROWS_PER_CLUSTER)
    if number < 2 or not vectors.shape[1]:  # noqa: PLR2004 - one cluster is all rows
        return np.zeros(len(vectors), np.int64)
    import faiss  # noqa: PLC0415 - of fitting alone: serving does without

    means = faiss.Kmeans(vectors.shape[1], number, niter=20, seed=seed + 1, spherical=True, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(vectors))
    _, place = np.unique(means.index.search(np.ascontiguousarray(vectors), 1)[1], return_inverse=True)
    return place.ravel().astype(np.int64)


def _memory(vectors: Floats, score: NDArray[np.float64], cell_size: int) -> Memory:
    if cell_size <= 1:
        return remember(vectors, score)
    cell = cells_by_pattern(vectors, ~np.isnan(score), cell_size)
    kept = cell >= 0
    return remember(vectors[kept], score[kept], cell[kept])
