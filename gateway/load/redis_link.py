"""One conversation with a Redis or Valkey server. The only file that knows the redis library."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from gateway.errors import ConfigurationError
from gateway.load.doubt import Doubt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence


REDIRECTION = re.compile(r"(?:MOVED|^) ?\d+ (?P<host>\S+):(?P<port>\d+)$")
CONNECT_S = 0.5  # names, TLS and greetings included


class LinkError(Exception):
    """The server did not answer within the budget, or refused. The message is for the log."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its hash once the server knows it."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.text.encode()).hexdigest())  # noqa: S324 - what EVALSHA takes


class RedisLink:
    """One connection, opened when it is needed and dropped at the first doubt. One call at a time.

    All keys of the book lie in one slot, so on a cluster one node serves them all: the link follows a redirection
    to it, and starts again from the configured addresses when that node fails.

    Args:
        url: redis://, rediss:// or unix://; several, comma-separated, are tried in turn.
        budget_s: what a call may take, once the connection is open.
        doubt: shared with other links to the same server.
    """

    def __init__(self, url: str, budget_s: float, doubt: Doubt | None = None) -> None:
        self._seeds = [part.strip() for part in url.split(",")]
        try:
            for seed in self._seeds:
                ConnectionPool.from_url(seed)
        except ValueError as error:
            raise ConfigurationError(f"the address of Redis cannot be used: {error}") from None
        self._budget_s = budget_s
        self._doubt = doubt or Doubt()
        self._moved_to: dict[str, Any] = {}
        self._connection: Any = None

    async def run(self, script: Script, keys: Sequence[str], *args: bytes | str) -> Any:  # noqa: ANN401 - as Redis says
        """What the script returns. Raises LinkError; at once when another link was just left without an answer."""
        if self._doubt.fresh:
            raise LinkError("it has just left another exchange without an answer")
        try:
            return await self._run(script, keys, args)
        except LinkError:
            if not self._moved_to:
                raise
            return await self._run(script, keys, args)

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """What is said on the channel, and "" once at the start: from then on nothing is missed. Raises LinkError."""
        try:
            connection = await self._connect()
            await connection.send_command("SUBSCRIBE", channel)
            while True:
                kind, _, said = await connection.read_response(timeout=None)
                yield said.decode() if kind == b"message" else ""
        except (RedisError, OSError, TimeoutError) as error:
            raise self._failed(error) from error
        finally:
            await self.close()

    async def close(self) -> None:
        """Drops the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(RedisError, OSError):  # it may be broken already
                await connection.disconnect(nowait=True)

    async def _connect(self) -> Any:  # noqa: ANN401 - see the pool
        """Opens one by our own rules: no retries, no health checks. Only those wait for it who can."""
        pool: Any = ConnectionPool.from_url(  # whose methods have no types
            self._seeds[0],
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=None,  # a listener waits as long as nothing is said; calls have their own budget
        )
        pool.connection_kwargs.update(self._moved_to)
        connection = pool.make_connection()
        self._connection = connection
        async with _within(CONNECT_S):
            await connection.connect()
        return connection

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str]) -> Any:  # noqa: ANN401
        try:
            connection = self._connection or await self._connect()
            async with _within(self._budget_s, self._doubt):
                try:
                    return await _call(connection, "EVALSHA", script.digest, len(keys), *keys, *args)
                except NoScriptError:
                    return await _call(connection, "EVAL", script.text, len(keys), *keys, *args)
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            if isinstance(error, TimeoutError):
                self._doubt.spread()
            raise self._failed(error) from error
        except asyncio.CancelledError:
            await self.close()  # else the next call would read this one's answer
            raise

    def _failed(self, error: Exception) -> LinkError:
        """Decides where to connect next: the node that a redirection names, else the next configured address."""
        moved = None if self._moved_to else REDIRECTION.search(str(error))
        if moved:
            self._moved_to = {"host": moved["host"], "port": int(moved["port"])}
        else:
            self._moved_to = {}
            self._seeds.append(self._seeds.pop(0))
        return LinkError(f"{type(error).__name__}: {error}".rstrip(": "))


@asynccontextmanager
async def _within(budget_s: float, doubt: Doubt | None = None) -> AsyncIterator[None]:
    """A timeout that does not blame the server for our own sleep.

    A loop that was held up finds the answer and the alarm at the same time, and would hear the alarm first. So the
    last fifth of the budget begins only when the loop is there to read. A doubt that spreads ends all of it.
    """
    loop = asyncio.get_running_loop()

    def last_fifth() -> None:
        if not limit.expired():
            limit.reschedule(loop.time() + 0.2 * budget_s)

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(0.8 * budget_s, last_fifth)
        try:
            with (doubt or Doubt()).ending(limit):
                yield
        finally:
            timer.cancel()


async def _call(connection: Any, *words: bytes | str | int) -> Any:  # noqa: ANN401 - as Redis says
    await connection.send_command(*words)
    return await connection.read_response()
