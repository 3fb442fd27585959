"""One look at an endpoint's own page about its load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from gateway.domain import Kind
from gateway.load.reports import ollama_report, vllm_report

if TYPE_CHECKING:
    from gateway.domain import Endpoint
    from gateway.load.reports import Report

METRICS_BYTES: Final = 1_000_000  # a page longer than this is no page of ours


async def scrape(client: httpx.AsyncClient, endpoint: Endpoint, patience_s: float) -> Report | None:
    """What it says; None when it does not, or not in that many seconds."""
    ollama = endpoint.kind is Kind.OLLAMA
    place = httpx.URL(endpoint.url)
    url = place.copy_with(userinfo=b"", raw_path=b"/api/ps" if ollama else b"/metrics")
    login = (place.username, place.password) if place.userinfo else None  # not in the URL, which httpx logs
    try:
        async with asyncio.timeout(patience_s):
            answer = await client.get(url, auth=login)
    except (httpx.HTTPError, TimeoutError):
        return None
    if answer.status_code != httpx.codes.OK or len(answer.content) > METRICS_BYTES:
        return None
    if ollama:
        return ollama_report(answer.content, endpoint.serves or endpoint.model)
    return vllm_report(answer.text)
