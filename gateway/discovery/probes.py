"""Looking at one place each: who answers there, and which models it serves. None where nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from gateway.discovery.findings import Found
from gateway.discovery.known import local_model, openai_model, openai_models

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_PATIENCE = 0.3  # seconds: a server on this machine answers at once, and start-up waits for those that do not
REMOTE_PATIENCE = 3.0
OPENAI = "https://api.openai.com/v1"
OLLAMA_AT_ONCE = 4  # queries that Ollama works on together by default; it queues the others
LLAMA_CPP_AT_ONCE = 1  # where it does not tell its slots
REFUSED = frozenset({401, 403})


async def openai(env: Mapping[str, str], own_port: int) -> Found | None:
    """The account behind OPENAI_API_KEY, at OPENAI_BASE_URL where that is set."""
    key = env.get("OPENAI_API_KEY", "").strip()
    if not key:
        return None
    base = env.get("OPENAI_BASE_URL", "").strip().rstrip("/") or OPENAI
    ourselves = Found("openai", base, f"OPENAI_API_KEY: not used, for {base} is a paretogate")
    address = httpx.URL(base)
    if address.host in {"127.0.0.1", "localhost", "::1"} and address.port == own_port:
        return ourselves
    answer = await _get(f"{base}/models", {"authorization": f"Bearer {key}"}, patience=REMOTE_PATIENCE)
    if answer is not None and answer.status_code in REFUSED:
        return Found("openai", base, f"OPENAI_API_KEY: {base} refuses it ({answer.status_code})")
    listed = _entries(answer)
    if any("paretogate" in entry for entry in listed):
        return ourselves
    offered = {str(entry.get("id")) for entry in listed} or set(openai_models())
    models = tuple(model for name in openai_models() if name in offered and (model := openai_model(name)))
    names = ", ".join(model["name"] for model in models) or "no model with a known price"
    doubt = "" if listed else "; it told no list, so these are its usual ones"
    return Found("openai", base, f"OPENAI_API_KEY: {names} at {base}{doubt}", models=models, key=SecretStr(key))


async def ollama(url: str) -> Found | None:
    """An Ollama server."""
    answer = await _get(f"{url}/api/tags")
    tags = _field(answer, "models")
    models = tuple(
        local_model(tag["name"], size=str((tag.get("details") or {}).get("parameter_size", "")))
        for tag in tags
        if isinstance(tag.get("name"), str) and not _embeds(tag)
    )
    if answer is None or (not tags and answer.status_code != httpx.codes.OK):
        return None
    line = f"Ollama at {url}: {_priced_zero(models)}"
    return Found("ollama", f"{url}/v1", line, kind="ollama", models=models, concurrency=OLLAMA_AT_ONCE)


async def local_server(url: str) -> Found | None:
    """vLLM, llama.cpp or another OpenAI-compatible server; never another of us."""
    answer = await _get(f"{url}/v1/models")
    entries = [entry for entry in _entries(answer) if isinstance(entry.get("id"), str)]
    if answer is None or not entries or any("paretogate" in entry for entry in entries):
        return None
    owners = {str(entry.get("owned_by", "")).lower() for entry in entries}
    models = tuple(local_model(entry["id"], context=_context(entry)) for entry in entries)
    if "vllm" in owners:
        return Found("vllm", f"{url}/v1", f"vLLM at {url}: {_priced_zero(models)}", kind="vllm", models=models)
    if "llamacpp" in owners or "llama.cpp" in answer.headers.get("server", "").lower():
        line = f"llama.cpp at {url}: {_priced_zero(models)}"
        return Found("llamacpp", f"{url}/v1", line, models=models, concurrency=await _slots(url))
    return Found("local", f"{url}/v1", f"OpenAI-compatible server at {url}: {_priced_zero(models)}", models=models)


async def _slots(url: str) -> int:
    """How many queries llama.cpp works on together."""
    properties = _object(await _get(f"{url}/props"))
    slots = properties.get("total_slots")
    return slots if isinstance(slots, int) and slots > 0 else LLAMA_CPP_AT_ONCE


async def _get(
    url: str, headers: Mapping[str, str] | None = None, *, patience: float = LOCAL_PATIENCE
) -> httpx.Response | None:
    # A proxy from the environment is for what is far away, and here nothing is encrypted: loading certificates takes
    # longer than the look itself.
    remote = patience == REMOTE_PATIENCE
    try:
        async with httpx.AsyncClient(timeout=patience, trust_env=remote, verify=remote) as client:
            return await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None


def _entries(answer: httpx.Response | None) -> list[dict[str, Any]]:
    return _field(answer, "data")


def _field(answer: httpx.Response | None, name: str) -> list[dict[str, Any]]:
    listed = _object(answer).get(name)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _object(answer: httpx.Response | None) -> dict[str, Any]:
    if answer is None or answer.status_code != httpx.codes.OK:
        return {}
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _embeds(tag: dict[str, Any]) -> bool:
    """Whether it only makes embeddings: chats cannot be sent there."""
    family = str((tag.get("details") or {}).get("family", ""))
    return "embed" in tag["name"] or family.endswith("bert")


def _context(entry: dict[str, Any]) -> int | None:
    for value in (entry.get("max_model_len"), (entry.get("meta") or {}).get("n_ctx_train")):
        if isinstance(value, int) and value > 0:
            return value
    return None


def _priced_zero(models: tuple[dict[str, Any], ...]) -> str:
    names = ", ".join(str(model["name"]) for model in models)
    return f"{names} (price 0: it runs here)" if names else "no models yet"
