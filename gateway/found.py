"""What is served when nothing is configured: what runs on this machine, else demonstration endpoints."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.app import application
from gateway.discovery import discover
from gateway.lab.demo import demo_endpoints
from gateway.server import Server, server_config, settle_memory
from gateway.settings import from_tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.settings import Settings

OBJECTIVE: Final = {"tradeoff": 5}  # halfway, in quality, from the cheapest to the best
SOURCE: Final = "what was found"


def serve_found(env: Mapping[str, str], *, host: str, port: int) -> None:
    """Serves it until it is told to stop.

    Raises:
        ConfigurationError: something that was found cannot be used.
    """
    asyncio.run(_serve(env, host=host, port=port))


async def _serve(env: Mapping[str, str], *, host: str, port: int) -> None:
    async with _found(env, port) as (settings, demonstration):
        app = application(settings, demonstration=demonstration)
        settle_memory()
        await Server(server_config(app, settings, host, port)).serve()


@asynccontextmanager
async def _found(env: Mapping[str, str], port: int) -> AsyncIterator[tuple[Settings, frozenset[str]]]:
    """The settings, and which of their models are made up."""
    findings = await discover(env, port)
    for line in findings.lines:
        click.echo(line)
    if findings.models:
        yield configured(findings.models, findings.endpoints), frozenset()
        return
    click.echo("nothing found: no OPENAI_API_KEY, no Ollama on 11434, no server on 8000")
    async with demo_endpoints() as demo:
        names = [model["name"] for model in demo["models"]]
        click.echo(f"demonstration endpoints answer instead, with made-up words: {', '.join(names)}")
        yield configured(demo["models"], demo["endpoints"]), frozenset(names)


def configured(models: list[dict[str, Any]], endpoints: list[dict[str, Any]]) -> Settings:
    """A configuration around what was found: one route, `auto`, on the bundled artifact."""
    tree = {
        "version": 1,
        "models": models,
        "endpoints": endpoints,
        "routes": [{"name": "auto", "objective": OBJECTIVE}],
        "predictor": {"artifact": "starter"},
    }
    return from_tree(tree, {}, source=SOURCE)
