"""The only owner of the predictor, its thread and its cache."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol, Self

import msgspec
import numpy as np

from gateway.core.estimate import Estimate, Expected, Source
from gateway.core.pricing import cost_usd, expected_output
from gateway.domain import TOKENS_PER_PRICE
from gateway.estimator.aside import Aside
from predictors.prompt import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.core.fleet import Fleet
    from gateway.domain import Query
    from gateway.estimator.columns import Columns, Row
    from gateway.metrics import Metrics
    from predictors.base import Prediction, Predictor, Prompt

    Floats = NDArray[np.float64]


QUICK_S: Final = 0.005  # of a budget that is shorter even what is quick could be late
MANY: Final = 3.0  # prompts that come together, on average; without this rule p99 at 16 connections was half more
NEWEST: Final = 0.2  # weight of the newest batch in that mean: about the last five


class AwayError(Exception):
    """The predictor service is known to be away and is not asked."""


class Service(Protocol):
    """A predictor in a process of its own."""

    async def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        """Estimates by the columns that it has described. Cancelled when they are late.

        Raises:
            AwayError: it is not asked now.
            Exception: anything else, when it fails.
        """


class Estimator:
    """Estimates for queries on the fleet's M models, in configuration order.

    Args:
        fleet: what is configured.
        columns: its models as the predictor knows them.
        predictor: one in this process, asked on a thread unless that is quick; None serves the priors.
        metrics: counts cache hits, and predictions that were late, failed, or not asked for.
        budget_s: a prediction later than this is replaced by the priors.
        cache_size: prompts whose prediction is kept, by hash.
        service: asked instead of a predictor.
    """

    def __init__(
        self,
        fleet: Fleet,
        columns: Columns,
        predictor: Predictor | None,
        metrics: Metrics,
        *,
        budget_s: float,
        cache_size: int,
        service: Service | None = None,
    ) -> None:
        self._fleet = fleet
        self._columns = columns
        self._predictor = predictor
        self._service = service
        self._metrics = metrics
        self._budget_s = budget_s
        self._cache: OrderedDict[bytes, Row] = OrderedDict()
        self._cache_size = cache_size
        self._thread = Aside("predict")
        self._company = 0.0  # how many were predicted together, a mean that follows the newest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._thread.close()

    @property
    def characters_per_token(self) -> Sequence[float]:
        """(M,) fitted ratios."""
        return self._columns.ratios

    def adopt(self, columns: Columns) -> None:
        """From now on the predictor is this one. What the last one said is forgotten."""
        self._columns = columns
        self._cache.clear()

    def expect(self, query: Query, column: int) -> Expected:
        """A pinned model's prior: its text is not looked at, since there is nothing to compare."""
        prior, price = self._columns.priors[column], self._fleet.models[column].price
        inputs = query.characters / self._columns.ratios[column]
        outputs = prior.output_tokens if query.max_tokens is None else min(prior.output_tokens, query.max_tokens)
        outputs *= query.choices
        cost = (inputs * price.input + outputs * price.output) / TOKENS_PER_PRICE
        return Expected(prior.quality, cost, inputs, outputs)

    def prior(self, query: Query) -> Estimate:
        """What is known without looking at the text: at once, and never fails."""
        return self._priced([query], [self._columns.prior], [Source.PRIOR])[0]

    async def estimate(self, queries: Sequence[Query]) -> list[Estimate]:
        """One estimate per query, in order. A prediction that is late or fails becomes the prior, and says so."""
        keys = [_key(query) for query in queries]
        found = {key: row for key in keys if (row := self._recall(key)) is not None}
        missing = {key: query for key, query in zip(keys, queries, strict=True) if key not in found}
        self._metrics.predictions.hit.inc(len(queries) - len(missing))
        if missing and (self._predictor is not None or self._service is not None):
            found.update(await self._predict(missing))
        rows = [found.get(key, self._columns.prior) for key in keys]
        return self._priced(queries, rows, [Source.PREDICTED if key in found else Source.PRIOR for key in keys])

    async def _predict(self, missing: dict[bytes, Query]) -> dict[bytes, Row]:
        """Rows by key; none at all when the predictor is late, fails or is away."""
        work = [(query.messages, query.tools) for query in missing.values()]
        outcomes = self._metrics.predictions
        columns = self._columns
        try:
            rows = await self._rows(columns, work)
        except TimeoutError:
            outcomes.late.inc(len(missing))
            return {}
        except AwayError:
            outcomes.away.inc(len(missing))
            return {}
        except Exception:  # noqa: BLE001 - the boundary to predictors: whatever one raises, the priors serve
            outcomes.failed.inc(len(missing))
            return {}
        outcomes.computed.inc(len(missing))
        fresh = dict(zip(missing, rows, strict=True))
        if columns is self._columns:
            self._remember(fresh)
        return fresh

    async def _rows(self, columns: Columns, work: Sequence[tuple[bytes, bytes]]) -> list[Row]:
        """Reading long conversations takes its time too: that is done on the thread, whoever predicts."""
        predictor, service, budget_s = self._predictor, self._service, self._budget_s
        if predictor is not None:

            def rows() -> list[Row]:
                return columns.rows(predictor.predict(_prompts(work)))

            self._company += NEWEST * (len(work) - self._company)
            return rows() if self._is_quick(predictor, work) else await self._thread.do(rows, budget_s)
        if service is None:
            return []
        async with asyncio.timeout(budget_s):
            prompts = await self._thread.do(lambda: _prompts(work), budget_s)
            return columns.rows(await service.predict(prompts))

    def _is_quick(self, predictor: Predictor, work: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether to predict on the loop: waking a thread, and taking turns with it, takes half as long again.

        Not where many come: while the thread predicts the next batch grows, and together they take less each.
        """
        if self._company > MANY or self._budget_s < QUICK_S or not self._thread.idle:
            return False
        return predictor.is_quick(len(work), sum(len(messages) + len(tools) for messages, tools in work))

    def _priced(self, queries: Sequence[Query], rows: Sequence[Row], sources: Sequence[Source]) -> list[Estimate]:
        if all(query.max_tokens is None for query in queries):
            outputs = np.array([row.output_tokens for row in rows])
        else:
            limits = [np.inf if query.max_tokens is None else query.max_tokens for query in queries]
            outputs = expected_output(np.array([row.output_quantiles for row in rows]), limits)
        if any(query.choices != 1 for query in queries):
            outputs *= np.array([[query.choices] for query in queries])
        characters = np.array([[query.characters] for query in queries], dtype=np.float64)
        inputs = characters / self._columns.characters_per_token
        costs = cost_usd(self._fleet.prices, inputs, outputs)
        return [
            Estimate(row.quality, row.quality_sd, inputs[i], outputs[i], costs[i], source)
            for i, (row, source) in enumerate(zip(rows, sources, strict=True))
        ]

    def _recall(self, key: bytes) -> Row | None:
        row = self._cache.get(key)
        if row is not None:
            self._cache.move_to_end(key)
        return row

    def _remember(self, fresh: dict[bytes, Row]) -> None:
        self._cache.update(fresh)
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def _key(query: Query) -> bytes:
    return blake2b(query.messages + b"\0" + query.tools, digest_size=16).digest()


def _prompts(work: Sequence[tuple[bytes, bytes]]) -> list[Prompt]:
    return [render(_value(messages), _value(tools) if tools else None) for messages, tools in work]


def _value(raw: bytes) -> object:
    """JSON that our reader refuses, for a number out of its range, is scored as text: its batch must not suffer."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return raw.decode("utf-8", "replace")
