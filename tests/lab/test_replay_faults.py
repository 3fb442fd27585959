"""Every fault of the replay upstream, as the bytes that a client sees."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway.lab.replay import Replay, endpoint_url, serving
from gateway.lab.replay_answers import PoolAnswers
from gateway.lab.replay_fault_kinds import KINDS, refusing
from gateway.lab.replay_faults import Faults, rule_of
from gateway.lab.replay_pace import Pace

if TYPE_CHECKING:
    import aiohttp

    from predictors.pool import Pool

SMALL, LARGE = "tiny/one", "large"
SILENCE = 0.2  # seconds without a byte: the upstream says nothing more
CHUNKS_END = b"\r\n0\r\n\r\n"
HEAD_END = b"\r\n\r\n"
EVENT = b"data: {"


@dataclass(frozen=True)
class Seen:
    """What came over a plain socket, and how it ended."""

    text: bytes
    ending: str  # closed, reset or open

    @property
    def status(self) -> int:
        return int(self.text.split(b" ", 2)[1]) if self.text else 0

    @property
    def body(self) -> bytes:
        return self.text.partition(HEAD_END)[2]


async def look(url: str, *, stream: bool, model: str = SMALL) -> Seen:
    """Asks once and reads until the end or until nothing more comes."""
    address = urlsplit(endpoint_url(url, model))
    message = {"role": "user", "content": "How much is 2 and 2?"}
    body = json.dumps({"messages": [message], "stream": stream, "stream_options": {"include_usage": True}})
    head = f"POST {address.path}/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    received, ending = bytearray(), "open"
    try:
        while chunk := await asyncio.wait_for(reader.read(1 << 20), SILENCE):
            received += chunk
        ending = "closed"
    except ConnectionResetError:
        ending = "reset"
    except TimeoutError:
        pass
    finally:
        writer.close()
    return Seen(bytes(received), ending)


async def seen(pool: Pool, kind: str, *, stream: bool) -> Seen:
    """One look at a fault; afterwards no slot is held."""
    replay = Replay(PoolAnswers(pool), pace=Pace(speed=float("inf")), faults=[f"{SMALL}={kind}"])
    async with serving(replay) as url:
        found = await look(url, stream=stream)
        await replay.until(lambda stats: stats["in_flight"] == 0)
        counts = replay.stats["models"][SMALL]
        assert (counts["faulted"], counts["served"], counts["left"]) == (1, 0, 0)
        return found


@pytest.mark.parametrize(
    ("kind", "ending", "begins"),
    [
        ("hang-up", "closed", False),
        ("reset", "reset", False),
        ("stall-before-headers", "open", False),
        ("stall-after-headers", "open", True),
        ("stall-mid-event", "open", True),
        ("stall-mid-stream", "open", True),
        ("cut-mid-event", "closed", True),
        ("cut-mid-stream", "closed", True),
        ("reset-mid-stream", "reset", True),
        ("never-closes", "open", True),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_has_no_end(pool: Pool, kind: str, ending: str, begins: bool, stream: bool) -> None:  # noqa: FBT001 - pytest passes by name
    found = await seen(pool, kind, stream=stream)
    assert found.ending == ending
    assert (found.status == 200) == begins
    assert not found.body.endswith(CHUNKS_END)
    if not stream and found.body:
        with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting|delimiter"):
            json.loads(found.body)


async def test_where_a_stream_stops(pool: Pool) -> None:
    events = {kind: (await seen(pool, kind, stream=True)).body for kind in KINDS if "mid" in kind or "never" in kind}
    assert all(body.count(EVENT) >= 5 for body in events.values())
    for kind in ("stall-mid-stream", "cut-mid-stream", "reset-mid-stream"):
        assert events[kind].endswith(b"\n\n\r\n")
    for kind in ("stall-mid-event", "cut-mid-event"):
        assert not events[kind].endswith(b"\n\n\r\n")
    assert b"[DONE]" in events["never-closes"]
    assert not any(b"[DONE]" in body for kind, body in events.items() if kind != "never-closes")


async def test_a_stream_that_ends_early_ends_in_good_order(pool: Pool) -> None:
    found = await seen(pool, "end-early", stream=True)
    assert found.body.endswith(CHUNKS_END)
    assert b"[DONE]" not in found.body
    assert b'"finish_reason":"' not in found.body


@pytest.mark.parametrize("stream", [False, True])
async def test_bytes_that_are_no_answer(pool: Pool, stream: bool) -> None:  # noqa: FBT001 - pytest passes by name
    found = await seen(pool, "garbage", stream=stream)
    assert (found.status, found.ending) == (200, "closed")
    assert b"\x00\xff" in found.body
    found = await seen(pool, "half-character", stream=stream)
    assert b'"caf\xc3"' in found.body
    assert b'"finish_reason":"stop"' in found.body


async def test_errors_inside_a_200(pool: Pool) -> None:
    first = await seen(pool, "error-first", stream=True)
    assert (first.status, first.body.startswith(b'data: {"error"')) == (200, True)
    midway = await seen(pool, "error-mid-stream", stream=True)
    assert midway.body.count(b'"content"') > 5
    assert midway.body.rpartition(EVENT)[2].startswith(b'"error"')
    assert b"[DONE]" not in midway.body
    assert json.loads((await seen(pool, "error-first", stream=False)).body)["error"]["code"] == 400


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_is_wrong_or_missing(pool: Pool, stream: bool) -> None:  # noqa: FBT001 - pytest passes by name
    wrong, missing = [await seen(pool, kind, stream=stream) for kind in ("wrong-usage", "no-usage")]
    assert b'"completion_tokens":"many"' in wrong.body
    assert b"completion_tokens" not in missing.body
    assert b'"finish_reason":"stop"' in missing.body


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        ("400", 400, False),
        ("401", 401, False),
        ("429", 429, False),
        ("429-retry-after", 429, True),
        ("500", 500, False),
        ("503", 503, False),
        ("html", 502, False),
    ],
)
async def test_statuses(pool: Pool, kind: str, status: int, retry_after: bool) -> None:  # noqa: FBT001 - pytest passes by name
    found = await seen(pool, kind, stream=True)
    assert found.status == status
    assert (b"retry-after: 1" in found.text.lower()) == retry_after


async def test_an_answer_can_be_huge(pool: Pool) -> None:
    assert len((await seen(pool, "huge", stream=False)).body) > 20_000_000


async def test_a_drip_falls_inside_events_and_is_whole_in_the_end(pool: Pool) -> None:
    found = await seen(pool, "drip", stream=True)
    assert found.body.endswith(CHUNKS_END)
    assert found.body.count(b"\r\n") > 60  # some forty pieces, each with a line before and after


def test_every_kind_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


async def test_a_refused_connection(session: aiohttp.ClientSession) -> None:
    with refusing() as url, pytest.raises(OSError, match="Connect"):
        await session.get(url)


def test_shares_are_even_and_counts_end() -> None:
    models = (SMALL, LARGE)
    tenth = Faults([rule_of(f"{SMALL}=500:0.1", models)])
    assert [number for number in range(40) if tenth.next(SMALL)] == [9, 19, 29, 39]
    assert tenth.next(LARGE) is None
    first = Faults([rule_of("*=500:x3", models), rule_of(f"{LARGE}=html", models)])
    assert [first.next(LARGE) for _ in range(4)] == [KINDS["500"]] * 3 + [KINDS["html"]]
    assert Faults([rule_of("*=500:0", models)]).next(SMALL) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nobody=500", "no model named 'nobody'"),
        ("*=explode", "no kind named 'explode'"),
        ("500", "no model named ''"),
        ("*=500:2", "neither a share"),
        ("*=500:often", "neither a share"),
    ],
)
def test_a_fault_that_is_not_understood_is_said(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule_of(spec, (SMALL,))


async def test_faults_can_be_changed_while_it_runs(base: str, session: aiohttp.ClientSession) -> None:
    assert (await look(base, stream=False)).status == 200
    async with session.put(f"{base}/replay/faults", json=["*=503"]) as reply:
        assert reply.status == 204
    assert (await look(base, stream=False, model=LARGE)).status == 503
    async with session.put(f"{base}/replay/faults", json=["*=explode"]) as reply:
        assert (reply.status, "no kind" in await reply.text()) == (400, True)
    assert (await look(base, stream=False)).status == 503
    async with session.put(f"{base}/replay/faults", json=[]) as reply:
        assert reply.status == 204
    assert (await look(base, stream=False)).status == 200
