"""What is asked about the gateway, not of a model: models, decisions, health and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.core.describe import describe
from gateway.core.filters import unknown_name
from gateway.errors import InvalidRequestError, NotFoundError, UnknownModelError
from gateway.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from gateway.core.fleet import Fleet
    from gateway.core.listing import Listing
    from gateway.feedback import DecisionLog

NOT_READY = 503


class Service(Protocol):
    """What these routes read of the running gateway."""

    @property
    def fleet(self) -> Fleet: ...

    @property
    def log(self) -> DecisionLog: ...

    @property
    def listing(self) -> Listing: ...

    async def metrics_page(self) -> bytes: ...

    def readiness(self) -> dict[str, str]:
        """What is not ready yet, and why; empty when everything is."""

    async def scored(self, decision_id: str, score: float) -> bool:
        """Takes feedback; False when there is no such decision."""


class Feedback(BaseModel):
    """Realised quality of one answer."""

    model_config = ConfigDict(extra="forbid")

    decision_id: str
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    label: bool | None = None
    comment: str | None = None


def control(service: Service) -> APIRouter:
    """The routes, without a prefix."""
    routes = APIRouter()
    _catalogue(routes, service)
    _records(routes, service)
    _probes(routes, service)
    return routes


def _catalogue(routes: APIRouter, service: Service) -> None:
    @routes.get("/models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": service.listing.all()}

    @routes.get("/models/{name:path}")
    async def model(name: str) -> dict[str, object]:
        found = service.listing.one(name)
        if found is None:
            raise UnknownModelError(unknown_name(service.fleet, name), param="model")
        return found


def _records(routes: APIRouter, service: Service) -> None:
    @routes.get("/decisions")
    async def decisions(limit: Annotated[int, Query(ge=1, le=200)] = 20) -> dict[str, object]:
        recent = [describe(decision, service.fleet) for decision in service.log.recent(limit)]
        return {"object": "list", "data": recent}

    @routes.get("/decisions/{decision_id}")
    async def decision(decision_id: str) -> dict[str, object]:
        found = service.log.find(decision_id)
        if found is None:
            raise _no_decision(decision_id)
        return describe(found, service.fleet)

    @routes.post("/feedback")
    async def feedback(given: Annotated[Feedback, Body()]) -> dict[str, object]:
        if given.score is None and given.label is None:
            raise InvalidRequestError("give a score (0 to 1) or a label", param="score")
        score = given.score if given.score is not None else float(bool(given.label))
        if not await service.scored(given.decision_id, score):
            raise _no_decision(given.decision_id)
        return {"object": "feedback", "decision_id": given.decision_id, "score": score}


def _no_decision(decision_id: str) -> NotFoundError:
    return NotFoundError(f"no decision {decision_id[:64]!r} is kept here", param="decision_id")


def _probes(routes: APIRouter, service: Service) -> None:
    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        missing = service.readiness()
        response.status_code = NOT_READY if missing else 200
        return {"status": "not ready" if missing else "ready", "missing": missing}

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(await service.metrics_page(), headers={"content-type": CONTENT_TYPE})
