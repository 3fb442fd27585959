"""What an application sees: OpenAI's own client, without retries, and one line that says how its call ended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTION = "How long is it?"
TOKENS = 60  # of the recorded answer
CHARACTERS = 4 * TOKENS


@dataclass(frozen=True)
class Application:
    """Asks one gateway."""

    client: openai.AsyncOpenAI

    async def sees(self, model: str, *, stream: bool, by: str = "", **more: Any) -> str:  # noqa: ANN401
        """How a call ended. `by` is who should have answered; another one is named."""
        ask = self.client.chat.completions.with_raw_response.create
        try:
            raw = await ask(
                model=model, messages=[{"role": "user", "content": QUESTION}], stream=stream, extra_body=more or None
            )
            answered = raw.headers["x-paretogate-model"]
            told: Any = raw.parse()
            text, finish, broke = await (_streamed if stream else _whole)(told)
        except openai.APIStatusError as error:
            return f"{type(error).__name__} {error.status_code} {error.code}"
        except openai.APIConnectionError as error:
            return type(error).__name__
        who = "" if answered == by or not by else f" of {answered}"
        if broke:
            return f"a part of the answer{who}, then {broke}" if text else f"nothing{who}, then {broke}"
        if finish is None:
            return f"an answer{who} that just ends"
        return f"the whole answer{who}" if len(text) >= CHARACTERS else f"{len(text)} characters{who}"

    async def well(self, model: str, *, within: float = 60.0) -> float:
        """Seconds until this model answers again."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.timeout(within):
            while await self.sees(model, stream=False, by=model) != "the whole answer":  # noqa: ASYNC110 - see until
                await asyncio.sleep(0.02)  # another process: it has no event for us
        return loop.time() - started


@asynccontextmanager
async def application(url: str) -> AsyncIterator[Application]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30) as client:
        yield Application(client)


async def _whole(answer: Any) -> tuple[str, str | None, str]:  # noqa: ANN401 - a ChatCompletion, or what came
    choice = answer.choices[0]
    return choice.message.content or "", choice.finish_reason, ""


async def _streamed(chunks: AsyncIterator[Any]) -> tuple[str, str | None, str]:
    text, finish = "", None
    try:
        async for chunk in chunks:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    except openai.APIError as error:
        return text, finish, f"{type(error).__name__} {error.code or ''}".strip()
    return text, finish, ""
