"""What clients do in a soak: ask at a rate, read, or leave at any moment; every query ends in a way that has a name."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from tests.faults.seeing import QUESTION

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAVING = 0.1  # share of the clients that leave before their answer has ended
DONE, ERROR = b"data: [DONE]", b'data: {"error"'
LOST = ("just ended", "no connection")


@dataclass
class Crowd:
    """Clients of one gateway. `ends` counts how their queries ended."""

    url: str
    models: Sequence[str]
    rate: float  # queries per second
    answer_s: float  # about how long one takes: within that, leavers leave
    ends: Counter[str] = field(default_factory=Counter)
    rng: random.Random = field(default_factory=lambda: random.Random(5))

    async def run(self, seconds: float) -> None:
        """Asks for so long; returns when the last one has its end."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            due = loop.time()
            while due < end:
                await asyncio.sleep(due - loop.time())
                group.create_task(self._client(session))
                due += self.rng.expovariate(self.rate)

    async def _client(self, session: aiohttp.ClientSession) -> None:
        patience = self.rng.uniform(0, self.answer_s) if self.rng.random() < LEAVING else 120.0
        try:
            async with asyncio.timeout(patience):
                self.ends[await self._ask(session)] += 1
        except TimeoutError:
            self.ends["left" if patience < 120 else "no end"] += 1

    async def _ask(self, session: aiohttp.ClientSession) -> str:
        body = {
            "model": self.rng.choice(self.models),
            "stream": self.rng.random() < 0.5,
            "messages": [{"role": "user", "content": QUESTION}],
        }
        headers = {"authorization": f"Bearer {self.rng.randrange(8)}"}
        try:
            async with session.post(f"{self.url}/v1/chat/completions", json=body, headers=headers) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, ConnectionError):
            return "no connection"
        if answer.status != 200:
            return str(answer.status)
        if not body["stream"]:
            return "answered"
        return "answered" if DONE in said else "error event" if ERROR in said else "just ended"
