"""A gateway process in front of a replay upstream process, and what is known of it from outside."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.faults.seeing import QUESTION, TOKENS, application
from tests.running import Program, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

GATEWAY = (sys.executable, "-m", "gateway")
STEADY = "steady"  # the model that never fails
PATIENCE_S = 60.0  # for what surely comes: the machine may be busy with other work
IMPATIENT = {"connect": 1, "first_byte": 0.6, "idle": 0.6, "total": 1.5}  # seconds
PATIENT = {"connect": 1, "first_byte": 30, "idle": 30, "total": 60}
LEASES = re.compile(r'^paretogate_leases\{endpoint="(.+)"\} (\S+)$', re.MULTILINE)
UNTRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
GATEWAYS_OWN_FAULT = ("Traceback", "never retrieved", "Task exception", "could not be decided")


@dataclass
class Stage:
    """What the rows of one group play on."""

    program: Program
    upstream: str
    token: str = ""  # of a key, where the gateway has some

    @property
    def url(self) -> str:
        return self.program.url

    async def order(self, *faults: str) -> None:
        """From now on the upstream has these faults and no others."""
        async with plain_client() as client:
            reply = await client.put(f"{self.upstream}/replay/faults", json=list(faults))
            assert reply.status_code == 204, reply.text

    async def metrics(self) -> str:
        async with plain_client() as client:
            headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
            return (await client.get(f"{self.url}/metrics", headers=headers)).text

    async def leases(self) -> dict[str, int]:
        """Slots that are held, by endpoint; those of others are left out."""
        found = LEASES.findall(await self.metrics())
        return {name: int(float(held)) for name, held in found if float(held)}

    async def idle(self, within: float = PATIENCE_S) -> int:
        """Waits until nothing is held; what is held in the end."""

        async def free() -> bool:
            return not await self.leases()

        with suppress(TimeoutError):
            await until(free, within)
        return sum((await self.leases()).values())

    async def earn_retries(self) -> None:
        """Retries are earned by queries; without any, the budget of one row would be spent by those before it."""
        async with application(self.url) as app:
            await asyncio.gather(*(app.sees(STEADY, stream=False) for _ in range(25)))

    def faultless(self) -> None:
        """Asserts that nothing in the gateway's log is its own fault."""
        assert not [line for line in self.program.said if any(sign in line for sign in GATEWAYS_OWN_FAULT)]


def plain_client() -> httpx.AsyncClient:
    """Nothing here is encrypted, and reading the certificates of the world takes longer than what is measured."""
    return httpx.AsyncClient(verify=UNTRUSTING)


async def until(condition: Callable[[], Awaitable[bool]], within: float) -> None:
    """Looks again and again at another process. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - another process has no event for us
            await asyncio.sleep(0.01)  # see above: nothing else says when to look again


def model(name: str, price: float) -> dict[str, object]:
    return {"name": name, "price": {"input": price, "output": price}, "prior": {"quality": 0.7}}


def endpoint(name: str, url: str, **more: object) -> dict[str, object]:
    return {"name": f"{name}-1", "model": name, "url": url, **more}


def fleet(
    upstream: str,
    names: Sequence[str],
    urls: Mapping[str, str] | None = None,
    *,
    each: Mapping[str, object] | None = None,
    **sections: object,
) -> dict[str, Any]:
    """A configuration: STEADY is dear and well, the others are cheap, and `or-NAME` is a route over one and STEADY.

    Args:
        upstream: where the replay upstream is.
        names: of the cheap models.
        urls: of those that are elsewhere.
        each: what is to be said of every cheap endpoint besides.
        sections: others, or others than these.
    """
    where = {name: f"{upstream}/{name}/v1" for name in names} | dict(urls or {})
    return {
        "version": 1,
        "models": [model(STEADY, 9), *(model(name, 1) for name in where)],
        "endpoints": [
            endpoint(STEADY, f"{upstream}/{STEADY}/v1"),
            *(endpoint(name, url, **{"timeout": timeout(name), **(each or {})}) for name, url in where.items()),
        ],
        "routes": [{"name": f"or-{name}", "models": [name, STEADY], "objective": {"tradeoff": 0}} for name in where],
        "queue": {"max_wait_s": 3},
        "log": {"url": ""},
        **sections,
    }


def timeout(name: str) -> dict[str, float]:
    """Little, but for those that take their time and are well."""
    return {**IMPATIENT, "first_byte": 10, "total": 20} if name.startswith(("drip", "huge")) else IMPATIENT


@contextmanager
def replay_process(folder: Path, names: Sequence[str], *options: str, speed: float = 100) -> Iterator[Program]:
    """A replay upstream process with these models and STEADY."""
    row: dict[str, object] = {"query_id": "q", "text": QUESTION}
    for name in (STEADY, *names):
        row |= {f"score:{name}": 1.0, f"out:{name}": TOKENS}
    pool = folder / "pool.jsonl"
    pool.write_text(json.dumps(row) + "\n", encoding="utf-8")
    command = [*GATEWAY, "replay-upstream", "--pool", str(pool), "--port", "0", "--speed", str(speed), *options]
    with running(command) as program:
        yield program


@contextmanager
def replaying(folder: Path, names: Sequence[str], *options: str, speed: float = 100) -> Iterator[str]:
    """The same; gives its URL."""
    with replay_process(folder, names, *options, speed=speed) as program:
        yield program.url


@contextmanager
def gateway(
    folder: Path, tree: Mapping[str, Any], upstream: str, *, token: str = "", env: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """A gateway process with a configuration."""
    path = folder / f"gateway-{len(list(folder.glob('gateway-*')))}.yaml"
    path.write_text(yaml.safe_dump(dict(tree)), encoding="utf-8")
    with running([*GATEWAY, "serve", "--config", str(path), "--port", "0"], env=env) as program:
        yield Stage(program, upstream, token)
