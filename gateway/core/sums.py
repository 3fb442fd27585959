"""What a route remembers of its past decisions: sums only, so that replicas share them by adding."""

from __future__ import annotations

from math import exp
from typing import NamedTuple

MEMORY = 2_000  # queries after which a sum has forgotten all but 1/e


class Sums(NamedTuple):
    """A route's memory, or what one batch adds to it. The target's unit is quality, or USD where cost is promised."""

    n: float = 0.0  # queries decided
    quality: float = 0.0  # predicted, of the choices
    cost: float = 0.0  # predicted, USD
    steered: float = 0.0  # those of them that went where the multiplier sent them: no room was short
    aimed: float = 0.0  # what the target should have come to
    foreseen: float = 0.0  # what the curve gives at the multipliers that were used
    overrun: float = 0.0  # actual less predicted cost of settled answers, USD
    forgiven: float = 0.0  # USD of it that will not be made up for
    scored: float = 0.0  # answers with feedback
    residual: float = 0.0  # score less predicted quality over them

    def add(self, delta: Sums) -> Sums:
        """These sums and a batch's. Decisions fade as decisions come, feedback as feedback comes."""
        fade, fade_feedback = exp(-delta.n / MEMORY), exp(-delta.scored / MEMORY)
        return Sums(
            n=self.n * fade + delta.n,
            quality=self.quality * fade + delta.quality,
            cost=self.cost * fade + delta.cost,
            steered=self.steered * fade + delta.steered,
            aimed=self.aimed * fade + delta.aimed,
            foreseen=self.foreseen * fade + delta.foreseen,
            overrun=self.overrun * fade + delta.overrun,
            forgiven=self.forgiven * fade + delta.forgiven,
            scored=self.scored * fade_feedback + delta.scored,
            residual=self.residual * fade_feedback + delta.residual,
        )

    @classmethod
    def of_feedback(cls, score: float, quality: float) -> Sums:
        """What one scored answer adds."""
        return cls(scored=1.0, residual=score - quality)

    @classmethod
    def of_bill(cls, actual_usd: float, predicted_usd: float) -> Sums:
        """What one settled answer adds."""
        return cls(overrun=actual_usd - predicted_usd)
