"""From pools to an artifact: fit, calibrate on queries left out, fit again on all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from predictors.artifact import Artifact, Manifest
from predictors.crossfit import KINDS, study
from predictors.encoder import engine as named_engine
from predictors.hashes import text_hashes
from predictors.heldout import characters_per_token, held_out_sample
from predictors.history import join
from predictors.hybrid import Hybrid
from predictors.metrics import auc, brier, calibration_error
from predictors.names import aliases
from predictors.parts import fit_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from predictors.base import Prediction
    from predictors.history import History
    from predictors.pool import Pool

# The held-out sample, by which promises are placed, is predicted by fits of so many parts less one; by five it was that
# much worse than the predictor itself that promises cost more than they had to.
FOLDS = 10


class TrainingError(ValueError):
    """Pools that nothing can be learned from. The message says what is missing."""


def train(
    pools: Sequence[Pool],
    *,
    encoder: str = "lexical",
    encoder_key: str = "",
    predictor: str = "hybrid",
    seed: int = 0,
    cell_size: int = 1,
    progress: Callable[[str, float], None] | None = None,
    command: str = "",
) -> Artifact:
    """Fits a predictor on every row of the pools, and measures it on rows left out.

    Args:
        pools: one or several; their sets of models may be disjoint.
        encoder: engine of the encoder, and after a colon where its model is.
        encoder_key: for a server that wants one.
        predictor: "hybrid", "retrieval" or "trained".
        seed: the same seed and pools give the same artifact.
        cell_size: above 1, nothing finer than means of so many queries is kept, so that the artifact can be shared.
        progress: told what is being done, and the share done of it.
        command: kept in the manifest.

    Raises:
        TrainingError: there is no score at all, or no predictor of that name.
        EncoderError: there is no encoder of that name, or a package for it is missing.
    """
    if predictor not in KINDS:
        raise TrainingError(f"predictor {predictor!r} is not known; there are: {', '.join(KINDS)}")
    history = join(pools)
    if np.isnan(history.score).all():
        raise TrainingError("no score in any pool: there is nothing to learn from")
    tell = progress or (lambda _step, _share: None)
    source = named_engine(encoder, encoder_key)
    found = study(history, source, folds=FOLDS, seed=seed, progress=tell, cell_size=cell_size)
    parts, _ = fit_parts(
        history,
        found.source,
        found.reading,
        seed=seed,
        cell_size=cell_size,
        progress=lambda share: tell("all queries", share),
    )
    estimates = found.estimates(predictor)
    manifest = Manifest(
        predictor=predictor,
        models=history.models,
        aliases=aliases(history.models),
        encoder=encoder,
        training={"queries": len(history.prompts), "pools": len(pools), "fingerprint": _fingerprint(history)},
        command=command,
        seed=seed,
        cell_size=cell_size,
        metrics=_metrics(history, estimates),
    )
    return Artifact(
        predictor=Hybrid(parts, found.stack(predictor), history.models, history.head, characters_per_token(history)),
        held_out=held_out_sample(history, estimates, cell_size),
        manifest=manifest,
        text_hashes=np.unique(text_hashes(history.prompts)),
    )


def _metrics(history: History, estimates: Prediction) -> dict[str, float]:
    """What is finite of the measures over all held-out queries."""
    measures = {"auc": auc, "calibration_error": calibration_error, "brier": brier}
    values = {name: measure(estimates.quality, history.score) for name, measure in measures.items()}
    return {name: round(value, 4) for name, value in values.items() if np.isfinite(value)}


def _fingerprint(history: History) -> str:
    """SHA-256 over models, texts and scores, in order."""
    digest = hashlib.sha256("\0".join(history.models).encode())
    digest.update(text_hashes(history.prompts).tobytes())
    digest.update(np.ascontiguousarray(history.score).tobytes())
    return digest.hexdigest()
