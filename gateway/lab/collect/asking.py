"""Asking one model one thing: on an endpoint with room, at its pace, again where that may help, within the budget."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.core.decision import Stopwatch
from gateway.domain import Usage
from gateway.errors import UpstreamError, UpstreamRejectedError
from gateway.http.messages import CHAT, length
from gateway.lab.collect.desk import Desk
from gateway.lab.collect.reading import answer_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.core.fleet import Fleet
    from gateway.domain import Model
    from gateway.lab.collect.purse import Purse
    from gateway.upstream import Upstream

PATH: Final = "/chat/completions"
HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
CHARACTERS_PER_TOKEN: Final = 4.0  # where an endpoint tells no usage, and for what a request may cost at most
CAUTION: Final = 2.0  # a reservation takes prompts for this much longer than their characters say,
TEMPLATE: Final = 64  # and for so many tokens more, which a chat template may add
ATTEMPTS: Final = 4
BACKOFF_S: Final = 1.0  # doubled at each attempt


@dataclass(frozen=True, slots=True)
class Payload:
    """A chat completion that is not streamed."""

    fields: Mapping[str, Any]
    headers: dict[str, str]
    path: str = PATH
    stream: bool = False
    include_usage: bool = False

    def body(self, serves: str) -> bytes:
        return msgspec.json.encode({"model": serves, **self.fields})

    @property
    def tokens(self) -> float:
        """About so many are asked; pictures count for what they cost, not for their bytes."""
        messages = CHAT.decode(msgspec.json.encode(self.fields["messages"]))
        tools = self.fields.get("tools")
        return (length(messages) + (len(msgspec.json.encode(tools)) if tools else 0)) / CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    text: str
    usage: Usage
    cost_usd: float
    latency_s: float


class Asker:
    """All endpoints of a fleet.

    Args:
        fleet: what is configured.
        upstream: open.
        purse: what may be spent.
        fields: sent with every question besides its messages and tools.
        max_tokens: the longest answer.
        backoff_s: before a second attempt.
        now: seconds.
    """

    def __init__(
        self,
        fleet: Fleet,
        upstream: Upstream,
        purse: Purse,
        *,
        fields: Mapping[str, Any],
        max_tokens: int,
        now: Callable[[], float],
        backoff_s: float = BACKOFF_S,
    ) -> None:
        self._fleet = fleet
        self._upstream = upstream
        self._purse = purse
        self._fields = fields
        self._max_tokens = max_tokens
        self._now = now
        self._backoff_s = backoff_s
        self._desks = [Desk(endpoint, now) for endpoint in fleet.endpoints]

    async def ask(self, model: Model, messages: Any, tools: Any = None, *, most: int | None = None) -> Answer:  # noqa: ANN401 - the client's own JSON
        """One model's answer; `most` tokens of it where another length than the run's is meant.

        Raises:
            UpstreamError: none came, after all attempts.
            BudgetReachedError: it could cost more than is left.
        """
        payload = Payload(self._request(messages, tools, most), HEADERS)
        longest = payload.fields.get("max_completion_tokens") or payload.fields.get("max_tokens") or self._max_tokens
        bound = Usage(TEMPLATE + round(CAUTION * payload.tokens), int(longest))
        async with self._purse.paying(model.price.usd(bound)) as bill:
            answer = await self._persist(model, payload)
            bill.usd = answer.cost_usd
        return answer

    def _request(self, messages: Any, tools: Any, most: int | None) -> dict[str, Any]:  # noqa: ANN401 - as above
        fields = {**self._fields, "messages": messages}
        if tools:
            fields["tools"] = tools
        if most is not None:
            fields["max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"] = most
        elif "max_completion_tokens" not in fields:
            fields["max_tokens"] = self._max_tokens
        return fields

    async def _persist(self, model: Model, payload: Payload) -> Answer:
        for attempt in range(ATTEMPTS):
            desk = self._desk(model)
            try:
                async with desk.turn():
                    answer = await self._once(desk, model, payload)
            except UpstreamError as error:
                desk.failed(error)
                hopeless = isinstance(error, UpstreamRejectedError) or attempt == ATTEMPTS - 1
                if hopeless:
                    raise
            else:
                desk.answered(answer.usage)
                return answer
            if not desk.closed:
                await asyncio.sleep(self._backoff_s * 2**attempt)
        raise UpstreamError("no endpoint was asked")  # not reached: the last attempt raises

    def _desk(self, model: Model) -> Desk:
        """The endpoint with the least of its room in use."""
        desks: list[Desk] = [self._desks[index] for index in self._fleet.endpoints_of_model[model.name]]
        alive = [desk for desk in desks if not desk.closed]
        if not alive:
            reasons = "; ".join(desk.closed for desk in desks) or "it has no endpoint"
            raise UpstreamError(f"{model.name}: no endpoint is left: {reasons}")
        return min(alive, key=lambda desk: desk.in_flight / desk.endpoint.capacity.concurrency)

    async def _once(self, desk: Desk, model: Model, payload: Payload) -> Answer:
        began = self._now()
        async with self._upstream.open(desk.endpoint, payload, Stopwatch(began)) as reply:
            text = answer_text(reply.first, desk.endpoint.name)
            usage = reply.usage or _counted(payload, text)
            return Answer(text, usage, model.price.usd(usage), self._now() - began)


def _counted(payload: Payload, text: str) -> Usage:
    """Of an endpoint that told none."""
    return Usage(round(payload.tokens), max(1, round(len(text) / CHARACTERS_PER_TOKEN)), estimated=True)
