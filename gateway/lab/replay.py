"""The replay upstream: each model of a pool as an OpenAI-compatible endpoint at `/MODEL/v1`.

It stands in for the paid endpoints in tests, demonstrations and benchmarks, so it must be light: one dictionary look-up
leads from a path to what answers it, and there is neither routing nor middleware.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from gateway.lab.replay_answers import Asked, estimated_tokens
from gateway.lab.replay_faults import Faults, rule_of
from gateway.lab.replay_pace import Pace
from gateway.lab.replay_reply import Exchange, well
from gateway.lab.replay_slots import COUNTS, Slots
from gateway.lab.replay_wire import Chat, Completion, Responses, embeddings, encode, error_body, model_list
from predictors.prompt import render

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from gateway.lab.replay_answers import Answers
    from gateway.lab.replay_slots import Slot
    from gateway.lab.replay_wire import Shape

    Action = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

JSON = "application/json"
TURNS = 4  # of the loop, from a closed socket to the end of the request that it carried
BACKLOG = 1024  # connections that may wait to be accepted: load tests open hundreds at once
SHAPES: dict[str, Shape] = {"chat/completions": Chat(), "completions": Completion(), "responses": Responses()}


class Replay:
    """Answers requests. Owns the slots and the counts of every model."""

    def __init__(
        self,
        answers: Answers,
        *,
        pace: Pace | None = None,
        slots: Mapping[str, int] | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        limits = slots or {}
        unknown = sorted(limits.keys() - set(answers.models))
        if unknown:
            raise ValueError(f"no model named {', '.join(unknown)}; the pool has {', '.join(answers.models)}")
        self._answers = answers
        self._pace = pace or Pace()
        self.fail(faults)
        self._change = asyncio.Event()
        self._slots = {model: Slots(limits.get(model), self._change.set) for model in answers.models}
        self._decoder = msgspec.json.Decoder(Asked)
        self._actions: dict[tuple[str, str], Action] = {
            ("GET", "/replay/stats"): self._stats,
            ("PUT", "/replay/faults"): self._order,
            ("GET", "/v1/models"): partial(self._models, answers.models),
        }
        for model in answers.models:
            for path, shape in SHAPES.items():
                self._actions["POST", f"/{model}/v1/{path}"] = partial(self._answer, model, shape)
            self._actions["POST", f"/{model}/v1/embeddings"] = partial(self._embed, model)
            self._actions["GET", f"/{model}/v1/models"] = partial(self._models, (model,))
            self._actions["GET", f"/{model}/metrics"] = partial(self._gauges, model)

    @property
    def stats(self) -> dict[str, Any]:
        """Counts of every model, and their sums; `peak` is the highest of any one model."""
        models = {model: slots.counts for model, slots in self._slots.items()}
        total = {name: sum(counts[name] for counts in models.values()) for name in COUNTS}
        return {"models": models, **total, "peak": max((counts["peak"] for counts in models.values()), default=0)}

    def fail(self, faults: Sequence[str]) -> None:
        """From now on these faults, `MODEL=KIND[:HOW]` each, and no others.

        Raises:
            ValueError: one is not understood; those of before stay.
        """
        self._faults = Faults([rule_of(spec, self._answers.models) for spec in faults])

    async def until(self, reached: Callable[[dict[str, Any]], bool]) -> None:
        """Returns once the counts are as wished: for tests that must not guess how long something takes."""
        while not reached(self.stats):
            self._change.clear()
            await self._change.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Whatever the request asks for."""
        action = self._actions.get((request.method, request.path))
        if action is None:
            message = f"nothing is served at {request.method} {request.path}; models are at /MODEL/v1/chat/completions"
            return _error(404, message, "invalid_request_error", "not_found")
        return await action(request)

    async def _answer(self, model: str, shape: Shape, request: web.BaseRequest) -> web.StreamResponse:
        arrived = asyncio.get_running_loop().time()
        try:
            asked = await self._read(request)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _error(400, f"the body cannot be read: {error}", "invalid_request_error")
        slots = self._slots[model]
        slot = await _taken(slots)
        if slot is None:
            message = f"{model} has {slots.limit} slots and all are taken"
            return _error(429, message, "rate_limit_error", "rate_limit_exceeded", {"retry-after": "1"})
        answer = self._answers.answer(model, asked)
        usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
        timing = self._pace.timing(answer)
        exchange = Exchange(request, model, shape, answer, bool(asked.stream), usage, arrived, timing, slot)
        fault = self._faults.next(model)
        with slot:
            if fault is not None:
                slots.faulted += 1
                return await fault(exchange)
            try:
                response = await well(exchange)
            except (asyncio.CancelledError, ConnectionError):
                slots.left += 1
                raise
            slots.served += 1
            return response

    async def _embed(self, model: str, request: web.BaseRequest) -> web.StreamResponse:
        try:
            asked = await self._read(request)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _error(400, f"the body cannot be read: {error}", "invalid_request_error")
        tokens = estimated_tokens(render(asked.conversation))
        return web.Response(body=embeddings(model, asked.input, tokens), content_type=JSON)

    async def _read(self, request: web.BaseRequest) -> Asked:
        # Not request.read(): its limit on bodies is a web site's, and what a model takes is another matter.
        return self._decoder.decode(await request.content.read())

    async def _models(self, models: tuple[str, ...], _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=model_list(models), content_type=JSON)

    async def _stats(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=encode(self.stats), content_type=JSON)

    async def _order(self, request: web.BaseRequest) -> web.StreamResponse:
        """Takes a JSON list of faults in place of those in force: tests of a gateway change them while it runs."""
        try:
            self.fail(msgspec.json.decode(await request.content.read(), type=list[str]))
        except ValueError as error:
            return _error(400, str(error), "invalid_request_error")
        return web.Response(status=204)

    async def _gauges(self, model: str, _: web.BaseRequest) -> web.StreamResponse:
        """What vLLM says of itself: the two gauges that its load is read from."""
        running = f'vllm:num_requests_running{{model_name="{model}"}} {self._slots[model].in_flight}\n'
        waiting = f'vllm:num_requests_waiting{{model_name="{model}"}} 0\n'
        types = "# TYPE vllm:num_requests_running gauge\n", "# TYPE vllm:num_requests_waiting gauge\n"
        return web.Response(text=types[0] + running + types[1] + waiting)


@asynccontextmanager
async def serving(replay: Replay, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves until the block ends; gives the URL. Port 0 takes a free one."""
    server = web.Server(replay.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def endpoint_url(base: str, model: str) -> str:
    """Where a model's endpoint is: what an OpenAI client takes as `base_url`."""
    return f"{base}/{quote(model)}/v1"


async def _taken(slots: Slots) -> Slot | None:
    """A slot, if one is free once those who left before this request came have been noticed."""
    for _ in range(TURNS):
        if slots.free:
            break
        await asyncio.sleep(0)
    return slots.take()


def _error(
    status: int, message: str, kind: str, code: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(body=error_body(message, kind, code), status=status, content_type=JSON, headers=headers)
