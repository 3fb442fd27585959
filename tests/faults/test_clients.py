"""What a client can do wrong, in each phase of its query, on plain sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway.domain import Outcome
from tests.faults import client_rows as rows
from tests.faults.record import Found, Record
from tests.faults.seeing import QUESTION
from tests.faults.stage import PATIENCE_S, PATIENT, Stage, fleet, gateway, plain_client, replaying
from tests.gateway_server import serving, settings
from tests.http.test_leaving import Rigged, StuckPredictor, until_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

MODEL, HASTY = "watched", "huge-hasty"
SLOT = {"capacity": {"concurrency": 1}, "timeout": PATIENT}
AT_ONCE = (rows.LEAVES, rows.RESETS, rows.HALF_CLOSES)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time
PARAMETERS = [
    pytest.param(row, id=f"{row.fault} {row.phase}", marks=[] if row.quick else [pytest.mark.faults])
    for row in rows.ROWS
]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An endpoint with one slot and all the patience, and one with none."""
    folder = tmp_path_factory.mktemp("clients")
    with replaying(folder, [MODEL, HASTY]) as upstream:
        tree = fleet(upstream, [MODEL, HASTY], each=SLOT, window={"max_wait_ms": 500})
        tree["endpoints"][-1]["timeout"] = {**PATIENT, "total": 2}
        tree["queue"] = {"max_wait_s": 30}
        with gateway(folder, tree, upstream) as staged:
            yield staged
            staged.faultless()


class Client:
    """A socket that has asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def leave(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        plain: socket.socket = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()

    async def begun(self) -> None:
        """Some of the answer is here."""
        await self.reader.readuntil(b"data: ")


@asynccontextmanager
async def asking(url: str, *, stream: bool, model: str = MODEL) -> AsyncIterator[Client]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**26)
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": QUESTION}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(f"{head}{body}".encode())
    client = Client(reader, writer)
    try:
        yield client
    finally:
        writer.transport.abort()


async def at_work(stage: Stage, count: int) -> None:
    """Returns once the upstream answers so many queries, no more and no fewer."""
    async with plain_client() as client, asyncio.timeout(PATIENCE_S):
        while (await client.get(f"{stage.upstream}/replay/stats")).json()["in_flight"] != count:
            pass


async def forgotten(stage: Stage) -> float:
    """Seconds until the upstream is left and no slot is held."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await at_work(stage, 0)
    assert await stage.idle() == 0
    return loop.time() - started


async def before_the_first_byte(stage: Stage, client: Client) -> None:  # noqa: ARG001 - one of several
    await at_work(stage, 1)


async def in_mid_answer(stage: Stage, client: Client) -> None:
    await client.begun()
    await at_work(stage, 1)


# phase: (fault of the upstream, streamed, when it is reached)
PHASES: dict[str, tuple[str, bool, Callable[[Stage, Client], Awaitable[None]]]] = {
    rows.FIRST_BYTE_S: ("stall-before-headers", True, before_the_first_byte),
    rows.FIRST_BYTE_W: ("stall-before-headers", False, before_the_first_byte),
    rows.MID_STREAM: ("stall-mid-stream", True, in_mid_answer),
    rows.MID_BODY: ("stall-mid-event", False, before_the_first_byte),
}


async def leaves(stage: Stage, row: rows.Row) -> float:
    """In a phase in which an upstream is at work."""
    fault, stream, reached = PHASES[row.phase]
    await stage.order(f"{MODEL}={fault}")
    async with asking(stage.url, stream=stream) as client:
        await reached(stage, client)
        (client.reset if row.fault == rows.RESETS else client.leave)()
        return await forgotten(stage)


async def half_closes(stage: Stage, _: rows.Row) -> float:
    await stage.order(f"{MODEL}=stall-mid-stream")
    async with asking(stage.url, stream=True) as client:
        await client.begun()
        client.writer.write_eof()
        took = await forgotten(stage)
        assert b"[DONE]" not in await client.reader.read()
        return took


async def waits_and_leaves(stage: Stage, row: rows.Row) -> float:
    """Behind another one that has the only slot; in the window the last batch has left somebody without room."""
    await stage.order(f"{MODEL}=stall-before-headers")
    async with AsyncExitStack() as others:
        await others.enter_async_context(asking(stage.url, stream=False))
        await at_work(stage, 1)
        ahead = 0
        if row.phase == rows.WINDOW:
            await others.enter_async_context(asking(stage.url, stream=False))
            await until_waiting(stage.url, ahead := 1)
        async with asking(stage.url, stream=False) as client:
            await until_waiting(stage.url, ahead + 1)
            client.leave()
            started = asyncio.get_running_loop().time()
            await until_waiting(stage.url, ahead)
            took = asyncio.get_running_loop().time() - started
    await forgotten(stage)
    return took


async def leaves_the_predictor(stage: Stage, _: rows.Row) -> float:
    """In a process of ours, whose predictor stops where it is told to."""
    predictor = StuckPredictor([MODEL])
    urls = {MODEL: f"{stage.upstream}/{MODEL}/v1"}
    its = settings(urls, models={MODEL: {"like": MODEL}}, predictor={"budget_ms": 60_000})
    async with serving(Rigged(its, predictor=predictor)) as url:
        try:
            async with asking(url, stream=False, model="auto") as client:
                await asyncio.get_running_loop().run_in_executor(None, predictor.asked_now.wait)
                client.leave()
                started = asyncio.get_running_loop().time()
                await until_waiting(url, 0)
                return asyncio.get_running_loop().time() - started
        finally:
            predictor.released.set()  # its thread is waited for


async def leaves_the_decision(stage: Stage, row: rows.Row) -> float:
    """In a process of ours, whose load book stops where it is told to."""
    stuck_at = "headroom" if row.phase == rows.SOLVER else "reserve"
    url = f"{stage.upstream}/{MODEL}/v1"
    twice = [{"name": f"{MODEL}-{n}", "model": MODEL, "url": url} for n in (1, 2)]
    rigged = Rigged(settings({MODEL: url}, endpoints=twice), stuck_at=stuck_at)
    async with serving(rigged) as served:
        try:
            async with asyncio.timeout(PATIENCE_S), asking(served, stream=False, model="auto") as client:
                await rigged.book.asked_now.wait()
                client.leave()
                started = asyncio.get_running_loop().time()
                while rigged.log.recent(1)[0].outcome is not Outcome.CANCELLED:  # noqa: ASYNC110 - no event says so
                    await asyncio.sleep(0)
                took = asyncio.get_running_loop().time() - started
        finally:
            rigged.book.released.set()  # the batch goes on without it
        while sum((await rigged.book.held()).values()):  # noqa: ASYNC110 - what is granted too late comes back
            await asyncio.sleep(0)
    return took


async def stops_reading(stage: Stage, _: rows.Row) -> float:
    await stage.order(f"{HASTY}=huge")
    loop = asyncio.get_running_loop()
    async with asking(stage.url, stream=True, model=HASTY) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads too
        started = loop.time()
        assert await stage.idle() == 0
        return loop.time() - started


async def reads_slowly(stage: Stage, _: rows.Row) -> float:
    await stage.order(f"{MODEL}=huge")
    async with asking(stage.url, stream=True) as client:
        body = bytearray()
        while not body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            body += await client.reader.read(2**20)
            await asyncio.sleep(0.001)  # it is its fault that it takes its time
        assert len(body) > 20_000_000
        return await forgotten(stage)


async def vanishes(_: Stage, row: rows.Row) -> float:
    """In a network of its own."""
    phase = "begun" if row.phase == rows.MID_STREAM else "waiting"
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.faults.vanishing", phase]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told = (await process.communicate())[0]
    assert process.returncode == 0
    found = json.loads(told)
    assert found["leases"] == 0
    return float(found["took"])


PLAYS: dict[tuple[str, str], Callable[[Stage, rows.Row], Awaitable[float]]] = {
    (rows.LEAVES, rows.WINDOW): waits_and_leaves,
    (rows.LEAVES, rows.QUEUE): waits_and_leaves,
    (rows.LEAVES, rows.PREDICTOR): leaves_the_predictor,
    (rows.LEAVES, rows.SOLVER): leaves_the_decision,
    (rows.LEAVES, rows.RESERVING): leaves_the_decision,
    (rows.HALF_CLOSES, rows.MID_STREAM): half_closes,
    (rows.STOPS_READING, rows.MID_STREAM): stops_reading,
    (rows.READS_SLOWLY, rows.MID_STREAM): reads_slowly,
    (rows.VANISHES, rows.MID_STREAM): vanishes,
    (rows.VANISHES, rows.FIRST_BYTE_W): vanishes,
}


@pytest.mark.parametrize("row", PARAMETERS)
async def test_a_client_that(row: rows.Row, watched: Stage, record: Record) -> None:
    took = await PLAYS.get((row.fault, row.phase), leaves)(watched, row)
    await watched.order()
    record.add(Found("A client", row.fault, row.phase, row.saw, recovered_s=took, leases=await watched.idle()))
    assert took < (5.0 if row.fault in AT_ONCE else PATIENCE_S)  # the machine may be busy
