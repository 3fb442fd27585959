"""Nonsense on the chat route: never a 5xx of ours, never a hang."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.http.asking import HELLO, ask, chat

if TYPE_CHECKING:
    from aiohttp import ClientSession

POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
PLAIN = json.dumps(chat()).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 100,
        b"{" * 100_000,
        b'{"a":' * 50_000,
        PLAIN[:-1] + b',"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        PLAIN[:-1] + b',"n":' + b"9" * 5_000 + b"}",
        PLAIN[:-1] + b',"max_tokens":1e999}',
        PLAIN[:-1] + b',"temperature":1e999,"seed":' + b"9" * 500 + b"}",
        PLAIN[:-1] + b',"model":"auto","model":"cheap","messages":[]}',
        json.dumps(chat(messages=HELLO * 100_000)).encode(),
        json.dumps(chat(messages=[{"role": "user", "content": "x" * 3_000_000}])).encode(),
        b'{"model":"auto","messages":[{"role":"user","content":"x","odd":1e999}]}',
        json.dumps(chat(tools=[{"a": "b"}] * 5000)).encode(),
    ],
    ids=[
        "empty", "zeros", "braces", "nested", "nested beside", "huge n", "huge limit", "huge others", "twice",
        "many messages", "long message", "huge inside", "many tools",
    ],
)  # fmt: skip
async def test_nonsense_is_answered(session: ClientSession, url: str, body: bytes) -> None:
    async with asyncio.timeout(30):
        got = await ask(session, url, body)
    assert got.status in (200, 400, 413)
    if got.status != 200:
        assert got.error["message"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"host: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}   ",
        POST + b"host: x\r\ncontent-length: -1\r\n\r\n{}",
        POST + b"host: x\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
        POST + b"host: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"host : x\r\ncontent-length: 2\r\n\r\n{}",
        POST + b"host: x\r\n folded: y\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
    ],
    ids=[
        "both lengths", "two lengths", "negative", "overflow", "odd encoding", "space", "folded", "old", "tls", "short",
    ],
)  # fmt: skip
async def test_smuggling_is_refused(url: str, request_bytes: bytes) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(request_bytes)
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert answer.count(b"HTTP/1.") <= 2
