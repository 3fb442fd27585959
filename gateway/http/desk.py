"""All paths but the hot ones, as FastAPI serves them. FastAPI takes long to load, so this is made after the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from gateway import __version__
from gateway.errors import GatewayError, InvalidRequestError, NotAllowedError, NotFoundError
from gateway.http import answers
from gateway.http.control import control
from gateway.http.description import completed
from gateway.http.page.routes import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.http.control import Service
    from gateway.http.served import Inference

NOT_ALLOWED = 405


class Desk(FastAPI):
    """Answers what is asked about the gateway. The hot paths are in it for requests that are written in another way."""

    def __init__(self, service: Service, hot: Mapping[str, Inference]) -> None:
        super().__init__(
            title="Paretogate",
            version=__version__,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # it would send a client to whatever its Host header says
        )
        for path, inference in hot.items():
            self.router.routes.append(Route(path, inference, methods=["POST"]))
        routes = control(service)
        for prefix in ("/v1", ""):
            self.include_router(routes, prefix=prefix, include_in_schema=bool(prefix))
        self.include_router(page(), include_in_schema=False)
        self.add_exception_handler(GatewayError, _gateway_error)
        self.add_exception_handler(Exception, _gateway_error)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(HTTPException, _http_error)

    def openapi(self) -> dict[str, Any]:
        """The description of every path, once made."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def _respond(error: GatewayError, more: Mapping[str, str] | None = None) -> Response:
    headers = {name.decode(): value.decode() for name, value in answers.error_headers(error)} | dict(more or {})
    return Response(answers.error_body(error), answers.error_status(error), headers)


def _gateway_error(_: Request, error: Exception) -> Response:
    return _respond(error if isinstance(error, GatewayError) else GatewayError("the gateway failed; its log says why"))


def _invalid(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    places = [(".".join(str(part) for part in each["loc"][1:]), each["msg"]) for each in problems]
    message = "; ".join(f"{place}: {reason}" if place else reason for place, reason in places)
    return _respond(InvalidRequestError(message or "the request is not valid", param=places[0][0] or None))


def _http_error(request: Request, error: Exception) -> Response:
    place = f"{request.method} {request.url.path}"
    if isinstance(error, HTTPException) and error.status_code == NOT_ALLOWED:
        return _respond(NotAllowedError(f"{place}: the path does not take this method"), error.headers)
    return _respond(NotFoundError(f"{place}: no such path"))
