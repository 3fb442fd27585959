"""Prompts that wait to be predicted together: what comes while one batch is computed is the next."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from gateway.load.background import background
from predictors.base import Prediction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.metrics.predictor import ServiceMetrics
    from predictors.base import Predictor, Prompt


class FullError(Exception):
    """As many prompts wait as may."""


class ExpiredError(Exception):
    """Whoever asked has stopped waiting."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The prompts of one request."""

    prompts: Sequence[Prompt]
    expires_at: float
    done: asyncio.Future[Prediction] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Line:
    """Owns the predictor, its thread, and what waits for it.

    Args:
        predictor: asked from one thread, one batch at a time.
        metrics: counts batches and times them.
        max_batch: prompts that are computed together; a single request may be larger.
        max_waiting: prompts that may wait, in all.
        now: the clock of `expires_at`, seconds.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: ServiceMetrics,
        *,
        max_batch: int,
        max_waiting: int,
        now: Callable[[], float],
    ) -> None:
        self._predictor = predictor
        self._metrics = metrics
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._now = now
        self._line: deque[Waiting] = deque()
        self._waiting = 0  # prompts
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Predicts until the block ends."""
        try:
            async with background(self._run()):
                yield
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def predict(self, prompts: Sequence[Prompt], patience_s: float = inf) -> Prediction:
        """Their predictions, once it is their turn.

        Raises:
            FullError: too many wait already.
            ExpiredError: their turn came later than `patience_s`.
            Exception: whatever the predictor raised.
        """
        if self._waiting + len(prompts) > self._max_waiting and self._line:
            raise FullError(f"{self._waiting} prompts wait, and at most {self._max_waiting} may")
        waiting = Waiting(prompts, self._now() + patience_s)
        self._line.append(waiting)
        self._count(len(prompts))
        self._arrival.set()
        return await waiting.done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrival.wait()
            batch = self._next()
            if not batch:
                self._arrival.clear()
                continue
            prompts = [prompt for waiting in batch for prompt in waiting.prompts]
            began = self._now()
            try:
                prediction = await loop.run_in_executor(self._thread, self._predictor.predict, prompts)
            except Exception as error:  # noqa: BLE001 - the boundary to predictors: whoever asked is told
                for waiting in batch:
                    if not waiting.done.done():
                        waiting.done.set_exception(error)
                continue
            self._metrics.computed(len(prompts), self._now() - began)
            start = 0
            for waiting in batch:
                rows = slice(start, start := start + len(waiting.prompts))
                if not waiting.done.done():
                    waiting.done.set_result(_part(prediction, rows))

    def _next(self) -> list[Waiting]:
        """Whoever still waits, in order of arrival, up to a batch; at least one."""
        batch: list[Waiting] = []
        size = 0
        while self._line and (not batch or size + len(self._line[0].prompts) <= self._max_batch):
            waiting = self._line.popleft()
            self._count(-len(waiting.prompts))
            if waiting.done.done():
                continue  # it has gone
            if waiting.expires_at < self._now():
                waiting.done.set_exception(ExpiredError("its turn came too late"))
                continue
            batch.append(waiting)
            size += len(waiting.prompts)
        return batch

    def _count(self, more: int) -> None:
        self._waiting += more
        self._metrics.waiting.set(self._waiting)


def _part(prediction: Prediction, rows: slice) -> Prediction:
    return Prediction(
        quality=prediction.quality[rows],
        quality_sd=prediction.quality_sd[rows],
        output_quantiles=prediction.output_quantiles[rows],
        cost_usd=prediction.cost_usd[rows],
    )
