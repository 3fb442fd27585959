"""Which requests go wrong, and how: `MODEL=KIND[:HOW]`, where HOW is a share (0.1) or the first so many (x3).

Shares are spread evenly and not drawn: with 0.1 every tenth request of the model goes wrong, so that a run repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.lab.replay_fault_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.replay_fault_kinds import Fault

EVERYONE = "*"


@dataclass(slots=True)
class Rule:
    """One fault of one model. Counts the requests that it has seen."""

    model: str  # or EVERYONE
    fault: Fault
    share: float = 1.0
    first: int | None = None  # only so many, from now on
    seen: int = 0

    def strikes(self) -> bool:
        """Whether the next request goes wrong."""
        self.seen += 1
        if self.first is not None:
            return self.seen <= self.first
        return int(self.seen * self.share + ROUNDING) > int((self.seen - 1) * self.share + ROUNDING)


ROUNDING = 1e-9  # ten times 0.1 is to be one


class Faults:
    """The rules in force; of several that strike together the first one counts."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)

    def next(self, model: str) -> Fault | None:
        """What goes wrong with the model's next request; None when nothing does."""
        struck = [rule for rule in self._rules if rule.model in (model, EVERYONE) and rule.strikes()]
        return struck[0].fault if struck else None


def rule_of(spec: str, models: Sequence[str]) -> Rule:
    """The rule that a text states.

    Raises:
        ValueError: it is not MODEL=KIND[:HOW], or names a model or a kind that is not there.
    """
    model, _, rest = spec.rpartition("=")
    kind, _, how = rest.partition(":")
    if model != EVERYONE and model not in models:
        raise ValueError(f"fault {spec!r}: no model named {model!r}; there are *, {', '.join(models)}")
    if kind not in KINDS:
        raise ValueError(f"fault {spec!r}: no kind named {kind!r}; there are {', '.join(KINDS)}")
    if how.startswith("x") and how[1:].isdecimal():
        return Rule(model, KINDS[kind], first=int(how[1:]))
    try:
        share = float(how or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"fault {spec!r}: {how!r} is neither a share from 0 to 1 nor a number of requests such as x3")
    return Rule(model, KINDS[kind], share=share)
