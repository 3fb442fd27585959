"""The FastAPI application: the hot routes as raw ASGI, everything else as FastAPI serves it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from gateway import __version__
from gateway.errors import GatewayError, InvalidRequestError, NotAllowedError, NotFoundError
from gateway.http import answers
from gateway.http.caller import KEY, visitor
from gateway.http.description import completed
from gateway.http.page import page
from gateway.http.served import Inference, request_id
from gateway.http.surface import SURFACES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import APIRouter
    from starlette.types import Lifespan, Message, Receive, Scope, Send

    from gateway.core.keyring import Keyring
    from gateway.pipeline import Pipeline

PREFIXES = ("/v1", "")
NOT_ALLOWED = 405
ENCODED_SLASH: Final = re.compile(rb"(?i)^(?!(?:/v1)?/models/).*%2f")  # a proxy before us would see another path


class Application(FastAPI):
    """Inference goes straight to its endpoint: a routing table and a middleware stack cost more than the rest of it."""

    def __init__(
        self,
        pipeline: Callable[[], Pipeline],
        keyring: Callable[[], Keyring],
        control: APIRouter,
        *,
        lifespan: Lifespan[Application],
        refused: Callable[[str, GatewayError], None],
        body_limit: int,
        ping_s: float,
        now: Callable[[], float],
    ) -> None:
        super().__init__(
            title="Paretogate",
            version=__version__,
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # it would send a client to whatever its Host header says
        )
        self._keyring = keyring
        self._refused = refused
        self._hot: dict[bytes, Inference] = {}  # by the path as it was sent
        for surface in SURFACES:
            inference = Inference(pipeline, keyring, surface, refused=refused, limit=body_limit, ping_s=ping_s, now=now)
            for prefix in PREFIXES:
                self._hot[(prefix + surface.path).encode()] = inference
                self.router.routes.append(Route(prefix + surface.path, inference, methods=["POST"]))
        for prefix in PREFIXES:
            self.include_router(control, prefix=prefix, include_in_schema=bool(prefix))
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        inference = self._hot.get(scope["raw_path"]) if scope["method"] == "POST" else None
        if inference is not None:
            await inference(scope, receive, send)
        else:
            await self._visit(scope, receive, _identified(scope, send))

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing of the gateway is shown to whoever may not call it, not even which paths there are."""
        try:
            if ENCODED_SLASH.search(scope["raw_path"]):
                raise NotFoundError("an encoded slash is part of a name, and only a model's may have one")
            scope[KEY] = visitor(self._keyring(), scope["path"], dict(scope["headers"]))
        except GatewayError as error:
            self._refused("", error)
            await _respond(error)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _identified(scope: Scope, send: Send) -> Send:
    """Sends the request's id with its answer."""
    sent = dict(scope["headers"]).get(b"x-request-id", b"")

    async def identified(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(b"x-request-id", request_id(sent)), *message["headers"]]
        await send(message)

    return identified


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
