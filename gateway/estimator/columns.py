"""Which column of the predictor describes which configured model, and what is believed of those without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import numpy as np

from gateway.core.curve import Sample
from gateway.core.pricing import cost_usd, expected_output
from gateway.domain import Prior
from gateway.errors import ConfigurationError
from predictors.base import QUANTILES
from predictors.names import nearest, resolve
from predictors.stand_ins import stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.core.fleet import Fleet
    from gateway.domain import Model
    from predictors.base import HeldOut, Prediction

    Floats = NDArray[np.float64]

CHARACTERS_PER_TOKEN: Final = 4.0  # English prose in the common tokenizers; a fitted ratio replaces it where known
UNKNOWN: Final = Prior(quality=0.5, strength=2.0)  # of a model that nobody describes: as good as no knowledge
HISTORY: Final = 20.0  # pseudo-queries of a mean over history: queries differ far more than the mean is unsure
ORDINARY_INPUT: Final = 250.0  # tokens of a prompt, where there is no history: about a page
NO_COLUMN: Final = -1


class Row(msgspec.Struct, frozen=True):
    """One prompt's prediction for the fleet's M models."""

    quality: Floats  # (M,)
    quality_sd: Floats  # (M,)
    output_quantiles: Floats  # (M, QUANTILES) tokens
    output_tokens: Floats  # (M,) expected by them where the client sets no limit


class Known(Protocol):
    """What a predictor predicts for; one in this process says so itself, a service in its description."""

    @property
    def models(self) -> tuple[str, ...]:
        """Its columns, in order."""

    @property
    def characters_per_token(self) -> NDArray[np.float32]:
        """One per column."""


class Columns:
    """The fleet's M models as the predictor knows them."""

    def __init__(
        self,
        models: Sequence[Model],
        known: Sequence[int],
        ratios: Sequence[float],
        history: Sequence[Prior] = (),
    ) -> None:
        self.known = np.array(known, dtype=np.intp)
        self._has = self.known != NO_COLUMN
        self._none_lacks = bool(self._has.all())
        self._source = np.where(self._has, self.known, 0)
        priors = [
            model.prior or (history[column] if history and column != NO_COLUMN else UNKNOWN)
            for model, column in zip(models, known, strict=True)
        ]
        mean = np.array([prior.quality for prior in priors])
        strength = np.array([prior.strength for prior in priors])
        tokens = np.array([prior.output_tokens for prior in priors])
        # a Beta with these pseudo-counts
        quantiles = np.repeat(tokens[:, None], QUANTILES, 1)
        sd = np.sqrt(mean * (1 - mean) / (strength + 1))
        self.prior = Row(mean, sd, quantiles, expected_output(quantiles[None])[0])
        self._prior = np.concatenate([mean[:, None], sd[:, None], quantiles], axis=1)  # (M, 2 + QUANTILES)
        self.characters_per_token = np.array(ratios)  # (M,)
        self.ratios = tuple(ratios)
        self.priors = tuple(priors)

    def rows(self, prediction: Prediction) -> list[Row]:
        """One row per prompt; a model without a column, or a cell that is no number, gets its prior."""
        tables = (prediction.quality[..., None], prediction.quality_sd[..., None], prediction.output_quantiles)
        # All three as one: for a lone query the calls take longer than the numbers.
        cells = self._fill(np.concatenate(tables, axis=2), self._prior)
        np.maximum(cells, 0, out=cells)
        quality, sd, quantiles = cells[..., 0], cells[..., 1], cells[..., 2:]
        np.minimum(quality, 1, out=quality)
        return [Row(*row) for row in zip(quality, sd, quantiles, expected_output(quantiles), strict=True)]

    def sample(self, held_out: HeldOut | None, fleet: Fleet, names: Sequence[str]) -> Sample:
        """The artifact's held-out cells as the named models of this fleet would serve them, at its prices.

        A model without a column keeps its prior everywhere and has no scores. Without an artifact there is one cell, of
        an ordinary length.
        """
        index = np.array([fleet.model_index[name] for name in names], dtype=np.intp)
        outputs = self.prior.output_tokens
        if held_out is None:
            quality, sd = self.prior.quality[None], self.prior.quality_sd[None]
            cost = cost_usd(fleet.prices, ORDINARY_INPUT, outputs[None])
            return _sample(np.ones(1), (quality, sd, np.full_like(quality, np.nan), cost), index)
        nothing = np.full(len(self.known), np.nan)
        inputs = self._fill(held_out.input_tokens, nothing)
        inputs = np.where(np.isfinite(inputs), inputs, np.nanmean(held_out.input_tokens, axis=1, keepdims=True))
        cost = cost_usd(fleet.prices, inputs, self._fill(held_out.output_tokens, outputs))
        quality = self._fill(held_out.quality, self.prior.quality)
        sd = self._fill(held_out.quality_sd, self.prior.quality_sd)
        return _sample(held_out.weight, (quality, sd, self._fill(held_out.score, nothing), cost), index)

    def _fill(self, predicted: NDArray[np.float32], prior: Floats) -> Floats:
        """(Q, M, …) the predictor's columns in the fleet's order, with the prior where there is no number."""
        cells = predicted.take(self._source, axis=1).astype(np.float64)
        known = np.isfinite(cells)
        if self._none_lacks and known.all():
            return cells
        return np.where(known & self._has.reshape((1, -1) + (1,) * (cells.ndim - 2)), cells, prior)


def _sample(weight: Floats, columns: tuple[Floats, Floats, Floats, Floats], index: NDArray[np.intp]) -> Sample:
    quality, sd, score, cost = (column[:, index] for column in columns)
    return Sample(weight=weight, quality=quality, quality_sd=sd, score=score, cost_usd=cost)


def columns_for(models: Sequence[Model], predictor: Known | None, held_out: HeldOut | None = None) -> Columns:
    """Matches each model by its `like`, else by its own name where the operator states no prior.

    Args:
        models: of the fleet.
        predictor: None where priors serve.
        held_out: what became of the predictor's columns is the prior of a model that has a column and no stated prior.

    Raises:
        ConfigurationError: a `like` names nothing that the predictor knows.
    """
    if predictor is None:
        return Columns(models, [NO_COLUMN] * len(models), [CHARACTERS_PER_TOKEN] * len(models))
    known = predictor.models
    places = [_column(place, model, known) for place, model in enumerate(models)]
    fitted = predictor.characters_per_token
    ratios = [
        float(fitted[place]) if place != NO_COLUMN and fitted[place] > 0 else CHARACTERS_PER_TOKEN for place in places
    ]
    return Columns(models, places, ratios, _history(held_out) if held_out is not None else ())


def _history(held_out: HeldOut) -> list[Prior]:
    """Each column's mean, worth the queries behind it as far as that many are alike."""
    weight = held_out.weight[:, None]
    quality = _mean(np.where(np.isnan(held_out.score), held_out.quality, held_out.score), weight, UNKNOWN.quality)
    tokens = np.where(
        np.isnan(held_out.realised_output_tokens), held_out.output_tokens, held_out.realised_output_tokens
    )
    outputs = _mean(tokens, weight, UNKNOWN.output_tokens)
    return [
        Prior(quality=float(np.clip(one, 0, 1)), strength=HISTORY, output_tokens=float(length))
        for one, length in zip(quality, outputs, strict=True)
    ]


def _mean(table: NDArray[np.floating], weight: Floats, otherwise: float) -> Floats:
    """(M,) weighted means of what is known."""
    known = np.isfinite(table)
    count = (known * weight).sum(axis=0)
    total = np.where(known, table * weight, 0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, otherwise), where=count > 0)
    return mean


def _column(place: int, model: Model, known: Sequence[str]) -> int:
    if model.like is None and model.prior is not None:
        return NO_COLUMN
    wanted = model.like or model.name
    name = resolve(wanted, known) or stand_in(wanted, known)
    if name is not None:
        return known.index(name)
    if model.like is None:
        return NO_COLUMN
    near = ", ".join(nearest(model.like, known)) or "nothing near"
    raise ConfigurationError(
        f"models[{place}].like: the predictor knows no {model.like!r} (nearest: {near}); "
        "name one of its models, or give prior: {quality: …} instead"
    )
