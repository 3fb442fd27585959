"""Every way to assign a file of queries, ours among them, under one roof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.lab.methods.eccos import EccosR
from gateway.lab.methods.optimum import optimum
from gateway.lab.methods.plain import Random, RoundRobin, best, cheapest
from gateway.lab.methods.port import Port
from gateway.lab.methods.promised import greedy, ours
from gateway.lab.methods.rules import Threshold, TwoModels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.lab.methods.case import Case, Method

OURS: Final = "ours"
METHODS: Final[Mapping[str, Callable[[Case], Method]]] = {
    OURS: ours,
    "random": Random,
    "round-robin": RoundRobin,
    "cheapest": cheapest,
    "best": best,
    "threshold": Threshold,
    "eccos-r": EccosR,
    "two-model": TwoModels,
    "port": Port,
    "greedy": greedy,
    "optimum": optimum,
}
