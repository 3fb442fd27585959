"""What is asked about the gateway, not of a model: models, decisions, health and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.core.describe import describe
from gateway.core.filters import not_allowed, unknown_name
from gateway.core.keyring import may_name
from gateway.errors import InvalidRequestError, UnknownModelError
from gateway.http.caller import KEY
from gateway.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from gateway.core.fleet import Fleet
    from gateway.core.listing import Listing
    from gateway.domain import Key
    from gateway.feedback import DecisionLog


class Service(Protocol):
    """What these routes read of the running gateway."""

    @property
    def fleet(self) -> Fleet: ...

    @property
    def log(self) -> DecisionLog: ...

    @property
    def listing(self) -> Listing: ...

    async def metrics_page(self) -> bytes: ...

    async def overview(self) -> dict[str, object]:
        """What the page at `/` shows."""

    def readiness(self) -> dict[str, str]:
        """What is not ready yet, and why; empty when everything is."""

    async def decision(self, decision_id: str, whose: str | None) -> dict[str, object]:
        """What is known of a decision of this key (None: of any), in memory or in the log.

        Raises:
            NotFoundError: nothing is: one of another key's might as well not be there.
            LogUnavailableError: it is not in memory, and the log does not answer.
        """

    async def scored(self, decision_id: str, score: float, comment: str | None, whose: str | None) -> None:
        """Takes feedback, once.

        Raises:
            FeedbackConflictError: another score was given before.
            NotFoundError: and LogUnavailableError, as `decision`.
        """


class Feedback(BaseModel):
    """Realised quality of one answer."""

    model_config = ConfigDict(extra="forbid")

    decision_id: str
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    label: bool | None = None
    comment: Annotated[str | None, Field(max_length=4096)] = None


def control(service: Service) -> APIRouter:
    """The routes, without a prefix."""
    routes = APIRouter()
    _catalogue(routes, service)
    _records(routes, service)

    @routes.get("/overview")
    async def overview() -> dict[str, object]:
        return await service.overview()

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(await service.metrics_page(), headers={"content-type": CONTENT_TYPE})

    return routes


def _catalogue(routes: APIRouter, service: Service) -> None:
    @routes.get("/models")
    async def models(request: Request) -> dict[str, object]:
        return {"object": "list", "data": service.listing.all(request.scope[KEY])}

    @routes.get("/models/{name:path}")
    async def model(request: Request, name: str) -> dict[str, object]:
        key, found = request.scope[KEY], service.listing.one(name)
        if found is None:
            raise UnknownModelError(unknown_name(service.fleet, name, key), param="model")
        if not may_name(key, service.fleet, name):
            raise not_allowed(key, name)
        return found


def _records(routes: APIRouter, service: Service) -> None:
    @routes.get("/decisions")
    async def decisions(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> dict[str, object]:
        recent = service.log.recent(limit, _whose(request.scope[KEY]))
        return {"object": "list", "data": [describe(decision, decision.fleet or service.fleet) for decision in recent]}

    @routes.get("/decisions/{decision_id}")
    async def decision(request: Request, decision_id: str) -> dict[str, object]:
        return await service.decision(decision_id, _whose(request.scope[KEY]))

    @routes.post("/feedback")
    async def feedback(request: Request, given: Annotated[Feedback, Body()]) -> dict[str, object]:
        if given.score is None and given.label is None:
            raise InvalidRequestError("give a score (0 to 1) or a label", param="score")
        score = given.score if given.score is not None else float(bool(given.label))
        await service.scored(given.decision_id, score, given.comment, _whose(request.scope[KEY]))
        return {"object": "feedback", "decision_id": given.decision_id, "score": score}


def _whose(key: Key) -> str | None:
    """The name of the key whose decisions it may see; None: everybody's."""
    return None if key.admin else key.name
