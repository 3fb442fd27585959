"""The least that forwards a chat: raw ASGI and aiohttp, with nothing in between. UPSTREAM names where to."""

from __future__ import annotations

import os
from typing import Any

import aiohttp

UPSTREAM = os.environ["UPSTREAM"]


class Bare:
    """One session, opened by the first request."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        if scope["type"] != "http":
            return
        session = self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        async with session.post(UPSTREAM, data=body, headers={"content-type": "application/json"}) as answer:
            kind = answer.headers["content-type"]  # not parsed: what makes this one slower would flatter us
            streamed = kind == "text/event-stream"
            whole = b"" if streamed else await answer.read()
            headers = [(b"content-type", kind.encode())]
            if not streamed:
                headers.append((b"content-length", b"%d" % len(whole)))
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            if streamed:
                async for part in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": whole})


app = Bare()
