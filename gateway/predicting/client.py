"""The predictor service as the gateway sees it: asked while it is well, left alone and looked after while it is not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from gateway.errors import ConfigurationError
from gateway.estimator import AwayError
from gateway.load.background import background
from gateway.predicting.wire import (
    ARTIFACT,
    DEADLINE,
    JSON,
    PREDICT,
    OtherArtifactError,
    WireError,
    question,
    read_answer,
    read_description,
)
from predictors.base import Prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from gateway.metrics import Predictions
    from gateway.predicting.wire import Description
    from predictors.base import Prediction

    Adopt = Callable[[Description], Awaitable[None]]

MISSES: Final = 3  # one after another, and it is left alone
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0  # between two looks at a service that is away
FETCH_S: Final = 30.0  # for a description: tens of megabytes where an artifact keeps every query
START_S: Final = 5.0  # that a start waits for the service, when it is there but slow
ANSWER_LIMIT: Final = 2**28  # bytes
IN_ONE_WRITE: Final = 2**20  # bytes; aiohttp writes a longer body in pieces, so that others are not held up
OK: Final = 200
PROBE: Final = (Prompt("Are you there?"),)

log = logging.getLogger(__name__)


class ServiceClient:
    """Asks one service. Queries never wait for a service that is known to be away: a task of its own looks after it.

    Args:
        url: where it is, without a path.
        metrics: told whether it is used.
        budget_s: how long a prediction may take; the service is told, so that it computes nothing in vain.
        pause_s: to the second look at a service that is away; each further pause is twice as long.
    """

    def __init__(self, url: str, metrics: Predictions, *, budget_s: float, pause_s: float = FIRST_PAUSE_S) -> None:
        self._url = url
        self._place = URL(url).with_user(None)  # for the log: without a password
        self._metrics = metrics
        self._budget_s = budget_s
        self._pause_s = pause_s
        self._known: Description | None = None
        self._misses = MISSES
        self._trouble = asyncio.Event()
        self._looked = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self, adopt: Adopt) -> AsyncIterator[None]:
        """Looks after the service until the block ends. The block begins after the first look, or after START_S.

        Args:
            adopt: takes up a description that is new; a ConfigurationError leaves the service unused.
        """
        self._metrics.service_up.set(0)
        async with aiohttp.ClientSession(trust_env=False) as self._session, background(self._look_after(adopt)):
            with suppress(TimeoutError):
                async with asyncio.timeout(START_S):
                    await self._looked.wait()
            yield
        self._session = None

    async def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        """Asks the service. Being cancelled for having taken too long counts against it like any other failure.

        Raises:
            AwayError: it is not asked now.
            WireError: it answered, but with nothing that can be used.
            aiohttp.ClientError: it could not be reached, or broke off.
        """
        if self._misses >= MISSES or self._known is None:
            raise AwayError("the predictor service is away")
        try:
            prediction = await self._ask(prompts, self._known)
        except OtherArtifactError:
            self._missed(MISSES)
            raise
        except (asyncio.CancelledError, aiohttp.ClientError, WireError):
            self._missed(1)
            raise
        self._misses = 0
        return prediction

    async def _ask(self, prompts: Sequence[Prompt], known: Description) -> Prediction:
        headers = {"content-type": JSON, DEADLINE: f"{1000 * self._budget_s:.0f}"}
        body = await self._fetch("POST", PREDICT, question(prompts), headers)
        return read_answer(body, len(prompts), known)

    async def _fetch(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        if self._session is None:
            raise AwayError("the gateway is starting or stopping")
        url = self._url + path
        sent = body if body is None or len(body) <= IN_ONE_WRITE else BytesIO(body)
        async with self._session.request(method, url, data=sent, headers=headers, allow_redirects=False) as reply:
            if reply.status != OK:
                raise WireError(f"it answered {path} with {reply.status}")
            content = bytearray()
            async for part in reply.content.iter_any():
                content += part
                if len(content) > ANSWER_LIMIT:
                    raise WireError(f"its answer to {path} is longer than {ANSWER_LIMIT} bytes")
            return bytes(content)

    def _missed(self, weight: int) -> None:
        self._misses += weight
        if self._misses >= MISSES:
            self._metrics.service_up.set(0)
            self._trouble.set()

    async def _look_after(self, adopt: Adopt) -> None:
        """Waits for trouble, then looks until the service is well."""
        pause = self._pause_s
        while True:
            if self._misses < MISSES:
                await self._trouble.wait()
            try:
                async with asyncio.timeout(FETCH_S):
                    await self._look(adopt)
                self._looked.set()
                pause = self._pause_s
            except (TimeoutError, aiohttp.ClientError, WireError, ConfigurationError) as error:
                self._say(error)
                self._looked.set()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _look(self, adopt: Adopt) -> None:
        """Reads its description, takes it up if it is new, and asks it something."""
        described = read_description(await self._fetch("GET", ARTIFACT))
        if self._known is None or described.artifact != self._known.artifact:
            await adopt(described)
            self._known = described
        async with asyncio.timeout(self._budget_s):
            await self._ask(PROBE, described)
        self._misses = 0
        self._trouble.clear()
        self._metrics.service_up.set(1)
        log.info("the predictor service at %s answers; it knows %d models", self._place, len(described.models))

    def _say(self, error: Exception) -> None:
        reason = error.message if isinstance(error, ConfigurationError) else str(error) or "it takes too long"
        log.warning("the predictor service at %s is not used (%s); the priors decide", self._place, reason)
