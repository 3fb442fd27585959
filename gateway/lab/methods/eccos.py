"""ECCOS-R as in its authors' code: per batch, the least cost with the batch's kNN-16 quality at least what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lab.methods.case import Offer

if TYPE_CHECKING:
    from gateway.core.problem import Ints
    from gateway.lab.methods.case import Case


class EccosR:
    """An exact integer program for each batch, with a quality row."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def offer(self, rows: Ints) -> Offer:
        return Offer(score=self._case.cost[rows], joint=True, quality=self._case.plain[rows], asked=self._case.asked)

    def placed(self, rows: Ints, choice: Ints, *, displaced: bool) -> None:
        """Each batch is on its own."""
