"""What an upstream can do wrong, one small function each: given an exchange, it answers badly.

Those that never end wait for the client to leave. The functions are named by what the client sees; `KINDS` gives them
their names on the command line. A connection that is refused has no exchange: see `refusing`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import struct
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from gateway.lab.replay_answers import words
from gateway.lab.replay_reply import STREAM_HEADERS, Exchange, well
from gateway.lab.replay_wire import DONE, encode, error_body, event, usage_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]

JSON = "application/json"
HUGE_TOKENS = 20 * 2**20 // 4  # 20 MB of text
DRIP = 0.05  # seconds between two small pieces
APART_S = 0.1  # until what follows surely comes in a packet of its own
WRONG_USAGE = b'{"prompt_tokens":-1,"completion_tokens":"many","total_tokens":1e30}'
MARK = "?" * 16  # stands in no answer of ours
HALF_CHARACTER = b"caf\xc3"  # the first of two bytes
GARBAGE = b"\x00\xff\xfenothing that anyone could read\r\n"
HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


async def hang_up(exchange: Exchange) -> web.StreamResponse:
    """Closes without a byte."""
    _transport(exchange).close()
    return await _until_the_client_leaves()


async def reset(exchange: Exchange) -> web.StreamResponse:
    """Resets the connection without a byte."""
    _reset(exchange)
    return await _until_the_client_leaves()


async def stall_before_headers(_: Exchange) -> web.StreamResponse:
    """Takes the request and says nothing."""
    return await _until_the_client_leaves()


async def stall_after_headers(exchange: Exchange) -> web.StreamResponse:
    """Sends a good head and nothing more."""
    await _begun(exchange)
    return await _until_the_client_leaves()


async def stall_mid_event(exchange: Exchange) -> web.StreamResponse:
    """Falls silent inside an event, or inside the body."""
    await _half(exchange, torn=True)
    return await _until_the_client_leaves()


async def stall_mid_stream(exchange: Exchange) -> web.StreamResponse:
    """Falls silent between two events, or inside the body."""
    await _half(exchange)
    return await _until_the_client_leaves()


async def cut_mid_stream(exchange: Exchange) -> web.StreamResponse:
    """Closes between two events; the body has no end."""
    await _half(exchange)
    return await hang_up(exchange)


async def cut_mid_event(exchange: Exchange) -> web.StreamResponse:
    """Closes inside an event."""
    await _half(exchange, torn=True)
    return await hang_up(exchange)


async def reset_mid_stream(exchange: Exchange) -> web.StreamResponse:
    """Resets the connection between two events."""
    await _half(exchange)
    return await reset(exchange)


async def end_early(exchange: Exchange) -> web.StreamResponse:
    """Ends a stream in good order after half the answer, with neither a reason nor [DONE]; a body is cut."""
    response = await _half(exchange)
    if not exchange.stream:
        return await hang_up(exchange)
    await response.write_eof()
    return response


async def garbage(exchange: Exchange) -> web.StreamResponse:
    """200, with bytes that are no answer."""
    return _at_once(exchange, GARBAGE)


async def half_character(exchange: Exchange) -> web.StreamResponse:
    """An answer whose text stops inside a character of UTF-8; all else is well."""
    marked = dataclasses.replace(exchange.answer, text=MARK, output_tokens=1)
    body = _whole(dataclasses.replace(exchange, answer=marked))
    return _at_once(exchange, body.replace(MARK.encode(), HALF_CHARACTER))


async def error_first(exchange: Exchange) -> web.StreamResponse:
    """200, and then an error is all there is, as vLLM and SGLang report some."""
    told = {"error": {"message": "the prompt does not suit this model", "type": "BadRequestError", "code": 400}}
    return _at_once(exchange, event(told) + DONE if exchange.stream else encode(told))


async def error_mid_stream(exchange: Exchange) -> web.StreamResponse:
    """Half an answer, and once that is on its way an event with an error."""
    if not exchange.stream:
        return await error_first(exchange)
    response = await _half(exchange)
    await asyncio.sleep(APART_S)
    told = {"error": {"message": "the engine has died", "type": "InternalServerError", "code": 500}}
    await response.write_eof(event(told))
    return response


async def wrong_usage(exchange: Exchange) -> web.StreamResponse:
    """The answer with a usage that cannot be."""
    return _at_once(exchange, _whole(exchange).replace(encode(usage_of(exchange.answer)), WRONG_USAGE))


async def no_usage(exchange: Exchange) -> web.StreamResponse:
    """The answer without its usage, whether or not it was asked for."""
    if exchange.stream:
        return await well(dataclasses.replace(exchange, usage=False))
    return _at_once(exchange, _whole(exchange).replace(encode(usage_of(exchange.answer)), b"null"))


async def huge(exchange: Exchange) -> web.StreamResponse:
    """An answer of 20 MB."""
    answer = dataclasses.replace(exchange.answer, text=words(HUGE_TOKENS, 0))
    return await well(dataclasses.replace(exchange, answer=answer))


async def drip(exchange: Exchange) -> web.StreamResponse:
    """The whole answer in small pieces that fall inside events, slowly."""
    response = await _begun(exchange)
    body = _whole(exchange)
    size = max(1, len(body) // 40)
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await asyncio.sleep(DRIP)
    await response.write_eof()
    return response


async def never_closes(exchange: Exchange) -> web.StreamResponse:
    """A whole stream with its [DONE], and then the connection stays open; a body lacks its last byte."""
    response = await _begun(exchange)
    await response.write(_whole(exchange) if exchange.stream else _whole(exchange)[:-1])
    return await _until_the_client_leaves()


async def status(code: int, kind: str, _: Exchange, *, retry_after: str | None = None) -> web.StreamResponse:
    """An error in OpenAI's shape."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return web.Response(body=error_body("a fault on order", kind), status=code, content_type=JSON, headers=headers)


async def html(_: Exchange) -> web.StreamResponse:
    """502, as a proxy in between would say it."""
    return web.Response(text=HTML, status=502, content_type="text/html")


KINDS: dict[str, Fault] = {
    "hang-up": hang_up,
    "reset": reset,
    "stall-before-headers": stall_before_headers,
    "stall-after-headers": stall_after_headers,
    "stall-mid-event": stall_mid_event,
    "stall-mid-stream": stall_mid_stream,
    "cut-mid-stream": cut_mid_stream,
    "cut-mid-event": cut_mid_event,
    "reset-mid-stream": reset_mid_stream,
    "end-early": end_early,
    "garbage": garbage,
    "half-character": half_character,
    "error-first": error_first,
    "error-mid-stream": error_mid_stream,
    "wrong-usage": wrong_usage,
    "no-usage": no_usage,
    "huge": huge,
    "drip": drip,
    "never-closes": never_closes,
    "429": partial(status, 429, "rate_limit_error"),
    "429-retry-after": partial(status, 429, "rate_limit_error", retry_after="1"),
    "400": partial(status, 400, "invalid_request_error"),
    "401": partial(status, 401, "invalid_request_error"),
    "500": partial(status, 500, "server_error"),
    "503": partial(status, 503, "server_error"),
    "html": html,
}


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of a port that refuses every connection, and that nobody else takes meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but it does not listen
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def _begun(exchange: Exchange) -> web.StreamResponse:
    """The head of a good answer, sent in its time."""
    await exchange.until(exchange.timing.first)
    if exchange.stream:
        return await exchange.started()
    headers = {**exchange.headers, "content-type": JSON, "content-length": str(len(_whole(exchange)))}
    response = web.StreamResponse(headers=headers)
    await response.prepare(exchange.request)
    return response


async def _half(exchange: Exchange, *, torn: bool = False) -> web.StreamResponse:
    """Half of a good answer, sent; of a stream whole events, and with `torn` a part of one more."""
    response = await _begun(exchange)
    if not exchange.stream:
        body = _whole(exchange)
        await response.write(body[: len(body) // 2])
        return response
    events = exchange.shape.events(exchange.model, exchange.answer, usage=exchange.usage)
    middle = len(events.content) // 2
    tail = events.content[middle][: len(events.content[middle]) // 2] if torn else b""
    await response.write(events.opening + b"".join(events.content[:middle]) + tail)
    return response


def _at_once(exchange: Exchange, body: bytes) -> web.Response:
    """200 with these bytes, under the headers of a good answer."""
    kind = STREAM_HEADERS if exchange.stream else {"content-type": JSON}
    return web.Response(body=body, headers={**exchange.headers, **kind})


def _whole(exchange: Exchange) -> bytes:
    """All bytes of a good answer."""
    if not exchange.stream:
        return exchange.shape.whole(exchange.model, exchange.answer)
    events = exchange.shape.events(exchange.model, exchange.answer, usage=exchange.usage)
    return events.opening + b"".join(events.content) + events.closing


def _transport(exchange: Exchange) -> asyncio.Transport:
    transport = exchange.request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    return transport


def _reset(exchange: Exchange) -> None:
    transport = _transport(exchange)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


async def _until_the_client_leaves() -> NoReturn:
    """Returns never; the server cancels it when the connection is lost."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
