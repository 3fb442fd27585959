"""The answer to a Problem, and the certificate that comes with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.problem import Floats, Ints


class Step(StrEnum):
    """Which rung of the ladder answered."""

    ARGMIN = "argmin"  # no row binds: each query's own best is optimal
    TRANSPORT = "transport"  # only slots bind: solved exactly
    DUAL = "dual"  # prices for the side rows gave an answer that their own bound proves good enough
    CP_SAT = "cp_sat"  # token, gang, quality or budget rows bind
    INCUMBENT = "incumbent"  # the solver was late or failed: the best feasible answer at hand


EXACT = (Step.ARGMIN, Step.TRANSPORT)


@dataclass(frozen=True, slots=True)
class Warm:
    """Prices that one batch leaves for the next, in nano-dollars per unit of each row. Any values are legal."""

    prices: Floats  # (N,) slots per endpoint, each token row per endpoint, batch quality, each budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who goes where. Always feasible in the capacity rows; whoever found no room is HELD."""

    choice: Ints  # (Q,) endpoint index, or HELD
    objective: int  # nano-dollars, holds included
    bound: int  # nano-dollars: no assignment that leaves as few without room, at this quality, is cheaper
    step: Step
    gain: int  # nano-dollars saved against placing the queries one by one, each at its own best
    shadow: Ints  # (E,) nano-dollars that one more slot would have saved; an estimate unless the step is EXACT
    without_room: int = 0  # queries HELD though they may not wait: no room was left for them
    missing_quality: int = 0  # what the batch-quality row lacks, in 1/10,000 summed; this is the best there is
    warm: Warm | None = None  # for the next batch with the same rows

    @property
    def gap(self) -> float:
        """Proven distance to the optimum, relative to the objective; 0 is optimal."""
        return max(0.0, (self.objective - self.bound) / max(1, abs(self.objective)))
