"""One answer on its way out of the replay upstream, when all goes well."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.lab.replay_pace import writes

if TYPE_CHECKING:
    from gateway.lab.replay_answers import Answer
    from gateway.lab.replay_pace import Timing
    from gateway.lab.replay_slots import Slot
    from gateway.lab.replay_wire import Shape

STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that holds a slot, and what it is to be answered."""

    request: web.BaseRequest
    model: str
    shape: Shape
    answer: Answer
    stream: bool
    usage: bool  # the client of a stream asked for it
    arrived: float  # seconds of the loop's clock
    timing: Timing
    slot: Slot

    @property
    def headers(self) -> dict[str, str]:
        """What the recorded outcome adds to the answer's headers."""
        found = {} if self.answer.query_id is None else {"x-replay-query": self.answer.query_id}
        return found if self.answer.score is None else {**found, "x-replay-score": repr(self.answer.score)}

    async def until(self, due: float) -> None:
        """Waits for a moment in seconds after the arrival."""
        left = self.arrived + due - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    async def started(self, **headers: str) -> web.StreamResponse:
        """The head of a stream, sent."""
        response = web.StreamResponse(headers={**STREAM_HEADERS, **self.headers, **headers})
        await response.prepare(self.request)
        return response


async def well(exchange: Exchange) -> web.StreamResponse:
    """The recorded answer, in its time. The slot is free before the last bytes are on their way."""
    if exchange.stream:
        return await _stream(exchange)
    await exchange.until(exchange.timing.last)
    body = exchange.shape.whole(exchange.model, exchange.answer)
    exchange.slot.free()
    return web.Response(body=body, headers={**exchange.headers, "content-type": "application/json"})


async def _stream(exchange: Exchange) -> web.StreamResponse:
    events = exchange.shape.events(exchange.model, exchange.answer, usage=exchange.usage)
    await exchange.until(exchange.timing.first)
    response = await exchange.started()
    ahead = events.opening
    for due, part in writes(exchange.timing, events.content):
        await exchange.until(due)
        await response.write(ahead + part)
        ahead = b""
    await exchange.until(exchange.timing.last)
    exchange.slot.free()
    await response.write_eof(events.closing)
    return response
