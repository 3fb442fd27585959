"""From pools to an artifact with an encoder of its own.

An encoder that was tuned on a query's outcomes knows them, so nothing that is measured on that query is honest. Half
of the texts tune the encoder, and all else (heads, stack, neighbours, the held-out sample) is fitted on the others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.finetune import EPOCHS, tune
from predictors.hashes import text_hashes
from predictors.history import join
from predictors.pool import Pool, Queries
from predictors.training import TrainingError, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from predictors.artifact import Artifact

ENCODER = "encoder"  # the folder inside the artifact's
LEAST = 20  # texts in each half
_SIDE = 1 << 20  # a bit of the hash that nothing else goes by


def train_tuned(
    pools: Sequence[Pool],
    folder: Path,
    *,
    begin: str = "",
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
    **options: Any,  # noqa: ANN401 - as `train` takes them
) -> Artifact:
    """Tunes an encoder, writes it into the artifact's folder, and trains with it. `save` writes the rest.

    Args:
        pools: one or several.
        folder: of the artifact.
        begin: the folder of the encoder to begin with; "" for the installed one.
        epochs: of tuning, at most.
        seed: of everything.
        progress: told what is being done, and the share done of it.
        options: `predictor`, `cell_size` and `command`, as `train` takes them.

    Raises:
        TrainingError: there are too few texts, or as `train` says.
        EncoderError: torch or the encoder is missing.
    """
    tell = progress or (lambda _step, _share: None)
    tuning, rest = [halves(pool, first=True) for pool in pools], [halves(pool, first=False) for pool in pools]
    sizes = [sum(len(pool.queries.ids) for pool in half) for half in (tuning, rest)]
    if min(sizes) < LEAST:
        raise TrainingError(f"{sum(sizes)} queries are too few for fine-tuning; train without it")
    history = join(tuning)
    tuned = tune(
        history, begin, folder / ENCODER, seed=seed, epochs=epochs, progress=lambda share: tell("encoder", share)
    )
    made = train(rest, encoder=f"minilm:{folder / ENCODER}", seed=seed, progress=progress, **options)
    losses = {"validation_loss_before": tuned.losses[0], "validation_loss": tuned.losses[tuned.best]}
    training = {**made.manifest.training, "tuned": {"queries": sizes[0], "device": tuned.device, **losses}}
    return replace(
        made,
        manifest=replace(made.manifest, encoder=f"minilm:./{ENCODER}", training=training),
        text_hashes=np.union1d(made.text_hashes, text_hashes(history.prompts)),
    )


def halves(pool: Pool, *, first: bool) -> Pool:
    """The pool's rows on one side of a coin that each text throws once and for all."""
    side = (text_hashes(pool.queries.prompts) & np.uint64(_SIDE)) == 0
    return rows(pool, np.flatnonzero(side == first))


def rows(pool: Pool, index: NDArray[np.int64]) -> Pool:
    """Those queries alone; the models stay."""

    def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(values[row] for row in index)

    asked = pool.queries
    return Pool(
        queries=Queries(
            some(asked.ids), some(asked.texts), some(asked.messages), some(asked.tools), some(asked.prompts)
        ),
        groups=some(pool.groups),
        models=pool.models,
        score=pool.score[index],
        cost=pool.cost[index],
        input_tokens=pool.input_tokens[index],
        output_tokens=pool.output_tokens[index],
        latency=pool.latency[index],
    )
