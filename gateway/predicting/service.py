"""The predictor service: an artifact behind four paths."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from gateway.metrics import CONTENT_TYPE
from gateway.metrics.predictor import ServiceMetrics
from gateway.predicting.line import ExpiredError, FullError, Line
from gateway.predicting.wire import (
    ARRAYS,
    ARTIFACT,
    DEADLINE,
    JSON,
    PREDICT,
    PROTOCOL,
    Description,
    WireError,
    answer,
    describe,
    read_question,
)
from predictors.embedded import embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from predictors.artifact import Artifact

BODY_LIMIT: Final = 2**26  # bytes of one question
RETRY_AFTER_S: Final = "1"
STATUS: Final = {"invalid": 400, "too_large": 413, "full": 429, "failed": 500, "expired": 504}


class Service:
    """Answers requests."""

    def __init__(self, line: Line, described: Description, metrics: ServiceMetrics) -> None:
        self._line = line
        self._artifact = described.artifact
        self._description = describe(described)
        self._health = msgspec.json.encode(
            {"status": "ok", "protocol": PROTOCOL, "artifact": described.artifact, "models": len(described.models)}
        )
        self._metrics = metrics

    def application(self) -> Starlette:
        """The ASGI application; its lifespan runs the line."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with self._line.running():
                yield

        routes = [
            Route(PREDICT, self._predict, methods=["POST"]),
            Route(ARTIFACT, self._describe, methods=["GET"]),
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/metrics", self._page, methods=["GET"]),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    async def _predict(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                return self._refuse("too_large", f"a question has at most {BODY_LIMIT} bytes")
        try:
            prompts = read_question(bytes(body))
            patience_s = _patience(request.headers.get(DEADLINE))
        except WireError as error:
            return self._refuse("invalid", str(error))
        try:
            prediction = await self._line.predict(prompts, patience_s)
        except FullError as error:
            return self._refuse("full", str(error), {"retry-after": RETRY_AFTER_S})
        except ExpiredError as error:
            return self._refuse("expired", str(error))
        except Exception as error:  # noqa: BLE001 - the boundary to predictors: one batch fails, the service serves on
            return self._refuse("failed", f"the predictor failed: {type(error).__name__}")
        return Response(answer(prediction, self._artifact), media_type=ARRAYS)

    async def _describe(self, _: Request) -> Response:
        return Response(self._description, media_type=ARRAYS)

    async def _healthz(self, _: Request) -> Response:
        return Response(self._health, media_type=JSON)

    async def _page(self, _: Request) -> Response:
        return Response(self._metrics.page(), headers={"content-type": CONTENT_TYPE})

    def _refuse(self, reason: str, message: str, headers: dict[str, str] | None = None) -> Response:
        self._metrics.refused[reason].inc()
        body = msgspec.json.encode({"error": {"code": reason, "message": message}})
        return Response(body, STATUS[reason], headers, media_type=JSON)


def application(artifact: Artifact, *, max_batch: int, max_waiting: int, now: Callable[[], float]) -> Starlette:
    """The ASGI application that serves an artifact."""
    metrics = ServiceMetrics(partial(embedded, artifact.predictor))
    line = Line(artifact.predictor, metrics, max_batch=max_batch, max_waiting=max_waiting, now=now)
    return Service(line, description_of(artifact), metrics).application()


def description_of(artifact: Artifact) -> Description:
    """What a gateway is told. Equal files have equal names for their artifact."""
    files = "".join(f"{name}\0{digest}\0" for name, digest in sorted(artifact.manifest.files.items()))
    return Description(
        artifact=sha256(files.encode()).hexdigest()[:16],
        models=artifact.predictor.models,
        characters_per_token=artifact.predictor.characters_per_token,
        held_out=artifact.held_out,
    )


def _patience(header: str | None) -> float:
    """Seconds.

    Raises:
        WireError: it is no number of milliseconds.
    """
    if header is None:
        return inf
    try:
        patience = float(header) / 1000
    except ValueError:
        patience = -1
    if not patience >= 0:
        raise WireError(f"{DEADLINE} is to be milliseconds, and is {header[:40]!r}")
    return patience
