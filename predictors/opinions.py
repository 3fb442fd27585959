"""What the parts of a predictor say of prompts, before it is mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.logits import logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PARTS = ("network", "tasks", "near")
_TRACE = np.float32(1e-6)  # of coverage, so that a prompt with none has a mean


@dataclass(frozen=True, slots=True)
class Opinions:
    """Of Q queries and H heads.

    Args:
        prior: (Q, H) or (1, H) expected score.
        network: (Q, H) logit's deviation from the prior.
        network_sd: (Q, H) of that logit, between members.
        tasks: (Q, H) expected score by the task mixture.
        near: (Q, H) expected score by neighbours.
        coverage: (Q, H) share of the neighbours that the head answered.
        signals: (Q, S) of nearness to all history.
    """

    prior: Floats
    network: Floats
    network_sd: Floats
    tasks: Floats
    near: Floats
    coverage: Floats
    signals: Floats

    def halves(self) -> tuple[Floats, Floats]:
        """Each part's deviation from the prior on the logit scale: (Q, P) common to all heads, and (Q, H, P) own."""
        base = logit(self.prior)
        even = np.ones_like(self.coverage)
        asked = self.coverage + _TRACE
        parts = ((self.network, even), (logit(self.tasks) - base, even), (logit(self.near) - base, asked))
        common = [(deviation * weight).sum(axis=1) / weight.sum(axis=1) for deviation, weight in parts]
        own = [deviation - mean[:, None] for (deviation, _), mean in zip(parts, common, strict=True)]
        return np.stack(common, axis=1), np.stack(own, axis=2)

    def rows(self, index: NDArray[np.int64]) -> Opinions:
        """Of those queries alone."""
        return Opinions(*(table[index] for table in self.whole()))

    @staticmethod
    def concatenate(several: list[Opinions]) -> Opinions:
        """One after another; priors may differ."""
        return Opinions(*(np.concatenate(tables) for tables in zip(*(each.whole() for each in several), strict=True)))

    def whole(self) -> tuple[Floats, ...]:
        """Every table with all its rows, in the order of the fields."""
        prior = np.broadcast_to(self.prior, self.near.shape)
        return prior, self.network, self.network_sd, self.tasks, self.near, self.coverage, self.signals
