"""Out-of-fold estimates of the pools, kept in a folder so that a run that was cut off goes on where it stopped.

What is kept are numbers: no text, and nothing that outlives a change of `predictors/` or of the baselines.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import predictors
from gateway.core.curve import Sample
from gateway.lab import baselines
from gateway.lab.evaluate_fit import Estimates, Fitted, estimate
from gateway.lab.folds import bundles_of, folds_of
from predictors.base import HeldOut, Prediction
from predictors.crossfit import CrossFit, crossfit
from predictors.heldout import held_out_sample
from predictors.pool import read_pool
from predictors.training import train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.lab.evaluate_fit import Share
    from gateway.lab.frontier import Ints
    from predictors.base import Prompt
    from predictors.pool import Pool

QUERY, GROUP = "query", "group"  # what is left out
_TABLES = ("quality", "quality_sd", "cost", "output_tokens", "mean_cost", "cheapest", "best", "part")


class Recorded:
    """A predictor that answers what a cross-fit said of each prompt."""

    def __init__(self, found: CrossFit) -> None:
        self._found = found
        self._row = {prompt: row for row, prompt in enumerate(found.history.prompts)}

    @property
    def models(self) -> tuple[str, ...]:
        return self._found.history.models

    @property
    def characters_per_token(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.full(len(self.models), 4.0, dtype=np.float32)

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        return self._take(np.array([self._row[prompt] for prompt in prompts]))

    def is_quick(self, prompts: int, size: int) -> bool:  # noqa: ARG002 - as a predictor is asked
        return False

    def sample(self, left_out: Prompt) -> HeldOut:
        """The cross-fit's estimates for every row outside the fold of a prompt."""
        rows = np.flatnonzero(self._found.fold != self._found.fold[self._row[left_out]])
        return held_out_sample(self._found.history.rows(rows), self._take(rows))

    def _take(self, rows: Ints) -> Prediction:
        said = self._found.prediction
        return Prediction(said.quality[rows], said.quality_sd[rows], said.output_quantiles[rows], said.cost_usd[rows])


def estimates(
    path: Path, left_out: str, *, seed: int, quick: bool, cache: Path, tell: Callable[[str], None]
) -> tuple[Pool, Estimates]:
    """The pool and what was predicted for it, from the cache where it is there.

    Args:
        path: the pool.
        left_out: QUERY for five folds, GROUP for one group (or bundle of groups) at a time.
        seed: of folds and fits.
        quick: one cross-fit instead of a training per fold: a fifth of the time. Its stack is fitted on opinions of
            parts that saw the fold, and so its figures are no more than a guide.
        cache: a folder.
        tell: hears of each fit.
    """
    pool = read_pool(path)
    pace = "quick" if quick else "full"
    file = cache / f"{path.stem}-{left_out}-{pace}-{seed}-{_sources()}.npz"
    if file.is_file():
        return pool, _read(file)
    if quick:
        given = _quick(pool, left_out, seed, lambda: tell(f"{path.stem}: {left_out} left out"))
    else:
        part = folds_of(pool.queries.prompts, seed=seed) if left_out == QUERY else bundles_of(pool.groups)
        given = estimate(
            pool, part, lambda known, _share: _trained(known, seed), _counted(path.stem, left_out, part, tell)
        )
    cache.mkdir(parents=True, exist_ok=True)
    _write(file, given)
    return pool, given


def _trained(known: Pool, seed: int) -> Fitted:
    made = train([known], seed=seed)
    return Fitted(made.predictor, made.held_out)


def _quick(pool: Pool, left_out: str, seed: int, tick: Callable[[], None]) -> Estimates:
    found = crossfit(pool, seed=seed, by=left_out)
    recorded = Recorded(found)

    def fit(known: Pool, _share: Share) -> Fitted:
        inside = set(known.queries.prompts)
        outside = next(prompt for prompt in pool.queries.prompts if prompt not in inside)
        return Fitted(recorded, recorded.sample(outside))

    tick()
    return estimate(pool, found.fold, fit)


def _counted(name: str, left_out: str, part: Ints, tell: Callable[[str], None]) -> Share:
    count = len(np.unique(part))
    told = 0

    def hear(share: float) -> None:
        nonlocal told
        if round(share * count, 6) >= told + 1:
            told += 1
            tell(f"{name}: {left_out} left out, fit {told} of {count}")

    return hear


def _write(file: Path, given: Estimates) -> None:
    arrays = {name: getattr(given, name) for name in _TABLES} | {"fit_seconds": np.array(given.fit_seconds)}
    arrays |= {f"baseline.{name}": quality for name, quality in given.baselines.items()}
    for part, sample in given.samples.items():
        arrays |= {f"sample.{part}.{each.name}": getattr(sample, each.name) for each in fields(Sample)}
    np.savez(file, allow_pickle=False, **arrays)


def _read(file: Path) -> Estimates:
    with np.load(file) as kept:
        arrays: Mapping[str, Any] = dict(kept)
    parts = sorted({int(name.split(".")[1]) for name in arrays if name.startswith("sample.")})
    return Estimates(
        **{name: arrays[name] for name in _TABLES},
        baselines={
            name.removeprefix("baseline."): values for name, values in arrays.items() if name.startswith("baseline.")
        },
        samples={
            part: Sample(**{each.name: arrays[f"sample.{part}.{each.name}"] for each in fields(Sample)})
            for part in parts
        },
        fit_seconds=tuple(arrays["fit_seconds"].tolist()),
    )


def _sources() -> str:
    """Of the code that the estimates come from."""
    files = [*sorted(Path(predictors.__file__).parent.glob("*.py")), Path(baselines.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:10]
