"""The ASGI application: the hot paths and the probes are answered here, everything else at the desk."""

from __future__ import annotations

import asyncio
import re
import secrets
import traceback
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import GatewayError, NotAllowedError, NotFoundError
from gateway.http import answers
from gateway.http.caller import KEY, PROBES, visitor
from gateway.http.served import Inference, request_id
from gateway.http.surface import SURFACES
from gateway.load.background import background

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Message, Receive, Scope, Send

    from gateway.core.keyring import Keyring
    from gateway.http.answers import Headers
    from gateway.http.control import Service
    from gateway.http.desk import Desk
    from gateway.pipeline import Pipeline

PREFIXES = ("/v1", "")
OK: Final = 200
NOT_READY: Final = 503
ENCODED_SLASH: Final = re.compile(rb"(?i)^(?!(?:/v1)?/models/).*%2f")  # a proxy before us would see another path


class Application:
    """Inference goes straight to its endpoint: a routing table and a middleware stack cost more than the rest of it.

    The desk is made while the first queries are served, since FastAPI takes a quarter of a start to load.
    """

    def __init__(
        self,
        pipeline: Callable[[], Pipeline],
        keyring: Callable[[], Keyring],
        service: Service,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        refused: Callable[[str, GatewayError], None],
        body_limit: int,
        ping_s: float,
        now: Callable[[], float],
    ) -> None:
        self._keyring = keyring
        self._service = service
        self._lifespan = lifespan
        self._refused = refused
        self._hot: dict[str, Inference] = {}
        for surface in SURFACES:
            inference = Inference(pipeline, keyring, surface, refused=refused, limit=body_limit, ping_s=ping_s, now=now)
            self._hot |= {prefix + surface.path: inference for prefix in PREFIXES}
        self._hot_as_sent = {path.encode(): inference for path, inference in self._hot.items()}
        self._desk: Desk | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await (await self.desk())(scope, receive, send)
            return
        inference = self._hot_as_sent.get(scope["raw_path"]) if scope["method"] == "POST" else None
        if inference is not None:
            await inference(scope, receive, send)
        else:
            await self._visit(scope, receive, _identified(scope, send))

    async def desk(self) -> Desk:
        """What answers on all other paths. The first call makes it, on a thread."""
        async with self._making:
            if self._desk is None:
                self._desk = await asyncio.to_thread(self._made)
        return self._desk

    def _made(self) -> Desk:
        from gateway.http.desk import Desk  # noqa: PLC0415 - FastAPI, which is not needed to be ready

        return Desk(self._service, self._hot)

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing of the gateway is shown to whoever may not call it, not even which paths there are."""
        try:
            if ENCODED_SLASH.search(scope["raw_path"]):
                raise NotFoundError("an encoded slash is part of a name, and only a model's may have one")
            scope[KEY] = visitor(self._keyring(), scope["path"], dict(scope["headers"]))
            plain = scope["path"].removeprefix("/v1")
            if plain in PROBES:
                await self._probed(scope["method"], plain, send)
                return
        except GatewayError as error:
            self._refused("", error)
            await _whole(send, answers.error_status(error), answers.error_headers(error), answers.error_body(error))
        else:
            await (await self.desk())(scope, receive, send)

    async def _probed(self, method: str, path: str, send: Send) -> None:
        """Whether it is alive, or ready."""
        if method != "GET":
            error = NotAllowedError(f"{method} {path}: the path does not take this method")
            headers = [*answers.error_headers(error), (b"allow", b"GET")]
            await _whole(send, answers.error_status(error), headers, answers.error_body(error))
            return
        missing = self._service.readiness() if path == "/readyz" else {}
        status = {"/livez": "alive"}.get(path, "not ready" if missing else "ready")
        told = {"status": status, "missing": missing} if path == "/readyz" else {"status": status}
        await _whole(send, NOT_READY if missing else OK, [answers.JSON], msgspec.json.encode(told))

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: what is open while requests are taken."""
        await receive()
        stage = "startup"
        try:
            async with self._lifespan(), background(self._prepare()):
                await send({"type": "lifespan.startup.complete"})
                stage = "shutdown"
                await receive()
        except BaseException:
            await send({"type": f"lifespan.{stage}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _prepare(self) -> None:
        await self.desk()


def _identified(scope: Scope, send: Send) -> Send:
    """Sends the request's id with its answer."""
    sent = dict(scope["headers"]).get(b"x-request-id", b"")

    async def identified(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(b"x-request-id", request_id(sent, secrets.token_hex(12))), *message["headers"]]
        await send(message)

    return identified


async def _whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
