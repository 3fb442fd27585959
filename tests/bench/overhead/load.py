"""What is asked: wrk for rates, a bare socket for first chunks, a plain client for answers that take their time."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx

from tests.bench.overhead.servers import cpu_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.overhead.peers import Target

PATH = "/v1/chat/completions"
PROMPTS = 60_000
LONGEST_S = 16  # of a round
WARM = 20  # answers that one must have given before it is measured
EVENTS = 20  # of a stream, before its end marker
LAST_CHUNK = b"0\r\n\r\n"
TOPICS = ("the primes", "French verbs", "a bank's ledger", "sorting in Rust", "the tides", "a short poem", "old maps")
TASKS = ("Explain", "Summarise", "Translate into German", "Find the error in", "Write a test for", "Compute", "Compare")
# each line of the file is one prompt; a round begins where the one before it ended, so that none is met again before
# all have been
SCRIPT = """
local prompts = {}
for line in io.lines("PROMPTS_FILE") do prompts[#prompts + 1] = line end
local at = OFFSET
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
HEADERS
request = function()
  at = at % #prompts + 1
  local said = '"messages":[{"role":"user","content":"' .. prompts[at] .. '"}]}'
  return wrk.format(nil, nil, nil, '{"model":"MODEL",STREAM' .. said)
end
response = function(status, headers, body)
  local _, events = body:gsub("Paris%.", "")
  if status ~= 200 or events ~= EVENTS then print("WRONG " .. status .. " " .. events .. " " .. body:sub(1, 300)) end
end
"""


class WrongError(Exception):
    """What came is no answer to what was asked."""


class Taken(NamedTuple):
    """One round."""

    rate: float  # requests a second
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the server, for one request; 0 where it is not counted


def write_prompts(path: Path, seed: int = 1) -> None:
    """Distinct prompts of 10 to 120 words, made from a seed."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(PROMPTS):
            words = " ".join(f"{draw.choice(TOPICS)} {draw.randrange(10**4)}" for _ in range(draw.randrange(3, 40)))
            file.write(f"{draw.choice(TASKS)} item {number}: {words}\n")


def until_it_answers(target: Target, *, stream: bool = False) -> None:
    """Some open their port long before they can answer, and load half of themselves with the first answers.

    Raises:
        RuntimeError: it still does not after a minute.
    """
    until, said, right = time.monotonic() + 60, "", 0
    while time.monotonic() < until and right < WARM:
        try:
            body = _body(target, right, stream=stream)
            answer = httpx.post(target.url + PATH, json=body, headers=target.headers, timeout=20)
        except httpx.TransportError as error:
            said = repr(error)
        else:
            said, right = answer.text, right + 1 if answer.is_success else 0
        if not right:
            time.sleep(0.2)  # another process: it has no event for us
    if not right:
        raise RuntimeError(f"{target.url} does not answer: {said[:500]}")


def wrk(target: Target, folder: Path, *, connections: int, seconds: int, stream: bool = False) -> Taken:
    """One round. Every body is checked. Where nobody was answered it was too short, and a longer one follows.

    Raises:
        WrongError: an answer was wrong, or none came in LONGEST_S.
    """
    values = {
        "PROMPTS_FILE": str(folder / "prompts.txt"),
        "OFFSET": str(target.asked % PROMPTS),
        "HEADERS": "\n".join(
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in target.headers.items()
        ),
        "MODEL": target.model,
        "STREAM": '"stream":true,' if stream else "",
        "EVENTS": str(EVENTS if stream else 1),
    }
    text = SCRIPT
    for name, value in values.items():
        text = text.replace(name, value)
    script = folder / "ask.lua"
    script.write_text(text, encoding="utf-8")
    before = cpu_s(target.pid) if target.pid else 0.0
    command: list[str | Path] = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        script,
    ]
    said = subprocess.run([*command, target.url + PATH], capture_output=True, text=True, check=True).stdout
    spent = (cpu_s(target.pid) - before) if target.pid else 0.0
    count = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    if count and count[1] == "0" and seconds < LONGEST_S:
        return wrk(target, folder, connections=connections, seconds=2 * seconds, stream=stream)
    if "WRONG" in said or "Socket errors" in said or not count or not rate or count[1] == "0":
        raise WrongError(f"{target.url} answered wrongly:\n{said[-800:]}")
    p50, p99 = (_ms(re.search(rf"{share}% +([\d.]+)(us|ms|s)", said)) for share in (50, 99))
    target.asked += int(count[1]) + connections  # those that were on their way at the end are not counted
    return Taken(float(rate[1]), p50, p99, spent / int(count[1]) * 1e6)


def _ms(found: re.Match[str] | None) -> float:
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]] if found else float("nan")


def first_chunks_ms(target: Target, count: int) -> list[float]:
    """Until the first event of a stream is here, one after the other.

    By a bare socket: what a client's library does with the head and the first event takes longer than all that is
    measured here, and on two cores it does so beside the server that is measured.
    """
    taken = []
    address = urlsplit(target.url)
    head = f"POST {PATH} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=10) as connection:
        for _ in range(count):
            body = json.dumps(_body(target, target.asked, stream=True))
            target.asked += 1
            request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
            began = time.perf_counter()
            connection.sendall(request)
            said = b""
            while b"data: " not in said:
                said += _more(connection, said)
            taken.append((time.perf_counter() - began) * 1000)
            while not said.endswith(LAST_CHUNK):
                said += _more(connection, said)
            if not said.startswith(b"HTTP/1.1 200") or said.count(b"Paris.") != EVENTS:
                raise WrongError(f"{target.url} streamed wrongly:\n{said[-800:]!r}")
    return taken


def _more(connection: socket.socket, said: bytes) -> bytes:
    came = connection.recv(2**16)
    if not came:
        raise WrongError(f"the stream broke off after {said[-800:]!r}")
    return came


async def slow_answers(
    target: Target, *, clients: int, rounds: int, answer_s: float
) -> tuple[list[float], list[float]]:
    """Seconds of each answer, and milliseconds that its headers call overhead, with so many clients all the time."""
    seconds: list[float] = []
    overheads: list[float] = []

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(random.random() * answer_s)  # they do not come together
        for turn in range(rounds):
            body = _body(target, number * rounds + turn)
            began = time.perf_counter()
            async with session.post(target.url + PATH, json=body) as answer:
                await answer.read()
                seconds.append(time.perf_counter() - began)
                overheads.append(float(answer.headers.get("x-paretogate-overhead-ms", "0")))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number, session))
    return seconds, overheads


async def parts_beside_total(target: Target, count: int) -> float:
    """The largest distance, as a share, between the parts of the overhead in an answer's headers and their total."""
    worst = 0.0
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            body = {**_body(target, number), "routing": {"explain": True}}
            async with session.post(target.url + PATH, json=body) as answer:
                total = float(answer.headers["x-paretogate-overhead-ms"])
                parts = sum(map(float, re.findall(r"dur=([\d.]+)", answer.headers["server-timing"])))
                worst = max(worst, abs(parts - total) / total)
    return worst


def _body(target: Target, number: int, *, stream: bool = False) -> dict[str, object]:
    text = f"{TASKS[number % len(TASKS)]} number {number} of {TOPICS[number % len(TOPICS)]}"
    return {"model": target.model, "stream": stream, "messages": [{"role": "user", "content": text}]}


def share(values: Sequence[float], of: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(of * len(ordered)))]
