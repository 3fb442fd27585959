"""A client leaves: how soon is its upstream's connection closed, and its slot free for others?

    python -m tests.bench.leaving --leaves 50

A real gateway process on a real Redis. The upstream is in this process and tells when its socket ends; the load book is
asked directly, as another replica would, whether the lease is gone. Each phase is tried so often, one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop

from gateway.domain import Capacity
from gateway.load.redis import RedisLoadBook
from tests.bench.clients import Connection, connect, ended, request
from tests.bench.figures import Figure, conclude, p99_ms, share_of
from tests.faults.stage import PATIENT, Stage, fleet, gateway
from tests.redis_server import RedisServer
from tests.upstream_app import STALL, Play, Upstream, delta, stream

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "watched"
MOST_MS = 50.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time
WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"


def close(connection: Connection) -> None:
    connection.close()


def reset(connection: Connection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


@dataclass(frozen=True)
class Phase:
    """When it leaves, and how."""

    name: str
    play: Callable[[], Play]
    streamed: bool
    begun: bool  # it has some of its answer
    leave: Callable[[Connection], None] = close


PHASES = [
    Phase("before the headers, streamed", lambda: Play([STALL]), streamed=True, begun=False),
    Phase("before the headers, not streamed", lambda: Play([STALL]), streamed=False, begun=False),
    Phase("before the headers, reset", lambda: Play([STALL]), streamed=False, begun=False, leave=reset),
    Phase("in mid-stream", lambda: stream(delta("one"), STALL), streamed=True, begun=True),
    Phase("in mid-stream, reset", lambda: stream(delta("one"), STALL), streamed=True, begun=True, leave=reset),
    Phase("in the middle of a body", lambda: Play([WHOLE_HEAD, STALL]), streamed=False, begun=False),
]


async def leave_once(stage: Stage, upstream: Upstream, book: RedisLoadBook, phase: Phase) -> tuple[float, float]:
    """Seconds until the upstream's socket has ended, and until the lease is gone."""
    upstream.then(phase.play())
    before = len(upstream.asked)
    client = await connect(stage.url)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ended(client, request(MODEL, stream=phase.streamed)))
        asked = await upstream.reached(before + 1)
        if phase.begun:
            await client.begun.wait()
        assert sum((await book.held()).values()) == 1
        closed = group.create_task(asked.gone.wait())
        closed_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        closed.add_done_callback(lambda _: closed_at.set_result(perf_counter()))
        started = perf_counter()
        phase.leave(client)
        while sum((await book.held()).values()):  # noqa: ASYNC110 - a round trip each
            await asyncio.sleep(0)
        freed = perf_counter() - started
        await closed
        asking.cancel()
    return await closed_at - started, freed


async def measure(folder: Path, server: RedisServer, leaves: int) -> list[Figure]:
    upstream, figures = Upstream(), []
    closed_all: list[float] = []
    freed_all: list[float] = []
    async with upstream.serving() as url:
        tree = fleet(url.removesuffix("/v1"), [], {MODEL: url}, each={"timeout": PATIENT}, load={"redis": server.url})
        process = gateway(folder, tree, url)
        stage = await asyncio.to_thread(process.__enter__)
        try:
            clock = asyncio.get_running_loop().time
            async with RedisLoadBook({f"{MODEL}-1": Capacity(64)}, server.url, clock) as book:
                for phase in PHASES:
                    took = [await leave_once(stage, upstream, book, phase) for _ in range(leaves)]
                    closed, freed = (list(column) for column in zip(*took, strict=True))
                    closed_all += closed
                    freed_all += freed
                    figures.append(Figure(f"{phase.name}: socket, p99", p99_ms(closed), "ms"))
                    figures.append(Figure(f"{phase.name}: lease, p99", p99_ms(freed), "ms"))
        finally:
            await asyncio.to_thread(process.__exit__, *sys.exc_info())
        stage.faultless()
    return [
        *figures,
        Figure("leaves", len(closed_all)),
        Figure("all: upstream's socket closed, p50", 1e3 * share_of(closed_all, 0.5), "ms"),
        Figure("all: upstream's socket closed, p99", p99_ms(closed_all), "ms", at_most=MOST_MS),
        Figure("all: lease freed, p50", 1e3 * share_of(freed_all, 0.5), "ms"),
        Figure("all: lease freed, p99", p99_ms(freed_all), "ms", at_most=MOST_MS),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=50, help="of each phase")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(RedisServer())
        figures = uvloop.run(measure(folder, server, asked.leaves))
    conclude(figures)


if __name__ == "__main__":
    main()
