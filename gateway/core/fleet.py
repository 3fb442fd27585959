"""What is configured, with the indices that every array uses: M models and E endpoints, in configuration order."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.pricing import PriceCard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.core.problem import Bools
    from gateway.domain import Endpoint, Model, Route


SELECTIONS: Final = 1_024  # sets of models whose indices are kept: far more than routes and filters make


class Fleet:
    """Models, endpoints and routes, found by name or by index. Never changes; a reload makes another."""

    def __init__(self, models: Sequence[Model], endpoints: Sequence[Endpoint], routes: Sequence[Route]) -> None:
        self.models = tuple(models)
        self.endpoints = tuple(endpoints)
        self.routes = {route.name: route for route in routes}
        self.model_index = {model.name: index for index, model in enumerate(self.models)}
        self.endpoint_index = {endpoint.name: index for index, endpoint in enumerate(self.endpoints)}
        self.model_of_endpoint: NDArray[np.intp] = np.array(
            [self.model_index[endpoint.model] for endpoint in self.endpoints], dtype=np.intp
        )
        self.prices = PriceCard.of([model.price for model in self.models])
        self.context = tuple(inf if model.context is None else float(model.context) for model in self.models)
        self.served = frozenset(endpoint.model for endpoint in self.endpoints)
        self.endpoints_of_model = {
            name: np.array([i for i, e in enumerate(self.endpoints) if e.model == name], dtype=np.intp)
            for name in self.model_index
        }
        self._served_by = {route.name: tuple(name for name in route.models if name in self.served) for route in routes}
        # the same few sets come with every query; what is kept for them is never written to
        self.model_mask = lru_cache(SELECTIONS)(self._model_mask)
        self.columns_of = lru_cache(SELECTIONS)(self._columns_of)
        self.endpoints_of = lru_cache(SELECTIONS)(self._endpoints_of)

    def _model_mask(self, names: tuple[str, ...]) -> Bools:
        """(M,) which models are named."""
        mask = np.zeros(len(self.models), dtype=np.bool_)
        mask[self.columns_of(names)] = True
        mask.flags.writeable = False
        return mask

    def _columns_of(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        """Their indices, in the order of the names."""
        columns = np.array([self.model_index[name] for name in names], dtype=np.intp)
        columns.flags.writeable = False
        return columns

    def _endpoints_of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """The endpoints that serve any of the models."""
        return tuple(int(index) for name in dict.fromkeys(names) for index in self.endpoints_of_model[name])

    def candidates(self, target: str) -> tuple[str, ...]:
        """The served models behind a route's or a model's name; empty when nothing has that name."""
        served = self._served_by.get(target)
        if served is not None:
            return served
        return (target,) if target in self.served else ()


def matching(names: Sequence[str], globs: Sequence[str]) -> tuple[str, ...]:
    """The names that match any of the globs; all of them when there is no glob."""
    if not globs:
        return tuple(names)
    return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in globs))
