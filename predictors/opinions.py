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
        prior: (Q, H) or (1, H) logit of the expected score.
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
        """Each part's deviation from the prior on the logit scale: (P, Q) common to all heads, and (P, Q, H) own."""
        own = np.empty((len(PARTS), *self.near.shape), np.float32)
        own[0], own[1], own[2] = self.network, self.tasks, self.near
        own[1:] = logit(own[1:])
        own[1:] -= self.prior
        asked = self.coverage + _TRACE
        common = np.add.reduce(own, axis=2)
        common /= max(1, own.shape[2])
        common[2] = np.vecdot(own[2], asked) / np.add.reduce(asked, axis=1)
        own -= common[:, :, None]
        return common, own

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
