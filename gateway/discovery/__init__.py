"""What `paretogate serve` uses when nobody configured anything: an OpenAI key, and model servers on this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.discovery import probes
from gateway.discovery.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

OLLAMA = "http://127.0.0.1:11434"
LOCAL = "http://127.0.0.1:8000"  # the usual port of vLLM, and often llama.cpp's

__all__ = ["Findings", "discover"]


async def discover(env: Mapping[str, str], own_port: int, *, ollama: str = OLLAMA, local: str = LOCAL) -> Findings:
    """Looks for models that can be used as they are; never finds this gateway or another one.

    Args:
        env: of the process; OPENAI_API_KEY and OPENAI_BASE_URL are read.
        own_port: where this gateway is about to listen.
        ollama: where an Ollama server would be.
        local: where a vLLM or llama.cpp server would be.
    """
    nowhere = f":{own_port}"
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(probes.openai(env, own_port))]
        if not ollama.endswith(nowhere):
            looks.append(group.create_task(probes.ollama(ollama)))
        if not local.endswith(nowhere):
            looks.append(group.create_task(probes.local_server(local)))
    findings = Findings()
    for look in looks:
        if (found := look.result()) is not None:
            findings.add(found)
    return findings
