"""What every method of assigning a file of queries is given, and what it says of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gateway.core.curve import filled_scores, trace
from gateway.core.promise import Promise
from gateway.domain import MinQuality

if TYPE_CHECKING:
    from gateway.core.curve import Curve, Sample
    from gateway.core.problem import Floats, Ints
    from gateway.domain import Objective


@dataclass(frozen=True, kw_only=True)
class Case:
    """N queries by M models, the promise to keep and the room there is.

    Args:
        quality, quality_sd, cost: (N, M) predicted; cost in USD.
        plain: (N, M) the kNN-16 plug-in's quality, for the rules that were published with it.
        sample: the predictor's held-out sample, with the same columns.
        objective: what is promised.
        batch_size: queries decided together.
        slots: (M,) queries of one batch that each model takes.
        seed: of the methods that draw, and of the order of decision.
        in_order: the file is a trace: queries come as they stand in it. Otherwise a file has no order of arrival, and
            one that is sorted by subject must not look like traffic that changes its subject.
    """

    quality: Floats
    quality_sd: Floats
    cost: Floats
    plain: Floats
    sample: Sample
    objective: Objective
    batch_size: int
    slots: Ints
    seed: int = 0
    in_order: bool = False

    @cached_property
    def curve(self) -> Curve:
        """Of the sample."""
        return trace(self.sample)

    @cached_property
    def asked(self) -> float:
        """The average quality that the objective asks, 0..1: for the rules that know no other."""
        if isinstance(self.objective, MinQuality):
            return self.objective.quality
        return Promise(self.curve, self.objective).expected

    @cached_property
    def mean_cost(self) -> Floats:
        """(M,) of the sample, USD; infinite for a model without a cost."""
        known = np.isfinite(self.sample.cost_usd)
        weight = np.where(known, self.sample.weight[:, None], 0.0)
        total = (weight * np.where(known, self.sample.cost_usd, 0.0)).sum(axis=0)
        return np.where(weight.any(axis=0), total / np.maximum(weight.sum(axis=0), 1e-300), np.inf)

    @cached_property
    def mean_score(self) -> Floats:
        """(M,) realised over the sample, corrected predictions where a model was not asked."""
        mean: Floats = np.average(filled_scores(self.sample), axis=0, weights=self.sample.weight)
        return mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a method makes of a batch.

    Args:
        score: (Q, M) lower is better, in USD or in steps of it; infinite where the model must not serve.
        joint: the batch is solved as one; otherwise query after query takes its best with room.
        quality: (Q, M) for a quality row over the batch, None for none.
        asked: what that row asks.
    """

    score: Floats
    joint: bool = False
    quality: Floats | None = None
    asked: float = 0.0


class Method(Protocol):
    """One way to assign. Sees its queries batch by batch, in file order."""

    def offer(self, rows: Ints) -> Offer:
        """What it makes of the queries of these rows."""

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Told which model each of these rows went to, and whether room changed a choice."""
