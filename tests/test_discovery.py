"""Discovery against real little servers on loopback that answer as the real ones do."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from gateway.discovery import Findings, discover
from gateway.discovery.known import local_model, openai_model, openai_models
from gateway.settings.schema import Settings
from predictors.names import resolve
from predictors.stand_ins import stand_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

KEY = "sk-very-secret"
NOWHERE = "http://127.0.0.1:1"  # nothing listens there
OWN_PORT = 8080
TAGS = {
    "models": [
        {"name": "llama3.1:8b", "details": {"family": "llama", "parameter_size": "8.0B"}},
        {"name": "strange:latest", "details": {"family": "strange", "parameter_size": "1.1B"}},
        {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert", "parameter_size": "137M"}},
    ]
}
VLLM = {"object": "list", "data": [{"id": "Qwen/Qwen2.5-7B-Instruct", "owned_by": "vllm", "max_model_len": 32768}]}
LLAMA_CPP = {"object": "list", "data": [{"id": "some-3B.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 8192}}]}
OURS = {"object": "list", "data": [{"id": "auto", "owned_by": "paretogate", "paretogate": {"kind": "route"}}]}


@asynccontextmanager
async def serving(answers: Mapping[str, Any], *, key: str | None = None) -> AsyncIterator[str]:
    """A server that answers these paths with JSON, and 401 to everyone without the key."""

    async def script(request: web.BaseRequest) -> web.StreamResponse:
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return web.json_response({"error": {}}, status=401)
        if request.path not in answers:
            return web.Response(status=404)
        answer = answers[request.path]
        return web.Response(text=answer) if isinstance(answer, str) else web.json_response(answer)

    runner = web.ServerRunner(web.Server(script, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def found(
    env: Mapping[str, str] | None = None, *, ollama: str = NOWHERE, local: str = NOWHERE, own_port: int = OWN_PORT
) -> Findings:
    return await discover(env or {}, own_port, ollama=ollama, local=local)


async def test_nothing_there_is_nothing_found() -> None:
    findings = await found()
    assert (findings.models, findings.endpoints, findings.lines) == ([], [], [])


async def test_ollama_serves_its_chat_models_at_no_price() -> None:
    async with serving({"/api/tags": TAGS}) as url:
        findings = await found(ollama=url)
    settings = Settings.model_validate(findings.configuration)
    assert [model.name for model in settings.models] == ["llama3.1:8b", "strange:latest"]
    assert {(model.price.input, model.price.output) for model in settings.models} == {(0, 0)}
    assert settings.models[0].like == "Llama-3.1-8B"
    assert {(place.kind.value, place.url) for place in settings.endpoints} == {("ollama", f"{url}/v1")}
    assert findings.lines == [f"Ollama at {url}: llama3.1:8b, strange:latest (price 0: it runs here)"]


async def test_vllm_is_told_by_its_list() -> None:
    async with serving({"/v1/models": VLLM}) as url:
        settings = Settings.model_validate((await found(local=url)).configuration)
    assert settings.endpoints[0].kind.value == "vllm"
    assert settings.endpoints[0].serves == settings.models[0].name == "Qwen/Qwen2.5-7B-Instruct"
    assert settings.models[0].context == 32768
    assert settings.models[0].like == "qwen2.5-7b-instruct"


async def test_llama_cpp_is_told_by_its_list_and_tells_its_slots() -> None:
    async with serving({"/v1/models": LLAMA_CPP, "/props": {"total_slots": 3}}) as url:
        findings = await found(local=url)
    settings = Settings.model_validate(findings.configuration)
    assert settings.endpoints[0].capacity.concurrency == 3
    assert settings.models[0].context == 8192
    assert findings.lines[0].startswith("llama.cpp at ")


async def test_another_openai_server_is_used_too() -> None:
    async with serving({"/v1/models": {"data": [{"id": "m"}]}}) as url:
        findings = await found(local=url)
    assert findings.lines[0].startswith("OpenAI-compatible server at ")


@pytest.mark.parametrize("answer", ["<html>", [], {"data": "none"}, {"data": [1]}, {"data": []}, OURS])
async def test_what_is_no_model_server_or_is_one_of_us_is_left_alone(answer: object) -> None:
    async with serving({"/v1/models": answer, "/api/tags": answer}) as url:
        findings = await found(local=url)
        assert (findings.endpoints, findings.lines) == ([], [])


async def test_our_own_port_is_never_asked() -> None:
    async with serving({"/v1/models": VLLM, "/api/tags": TAGS}) as url:
        own_port = int(url.rpartition(":")[2])
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1"}
        findings = await found(env, ollama=url, local=url, own_port=own_port)
    assert findings.endpoints == []
    assert findings.lines == [f"OPENAI_API_KEY: not used, for {url}/v1 is a paretogate"]


async def test_a_key_brings_the_priced_models_that_it_may_use() -> None:
    listed = {"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}, {"id": "text-embedding-3-small"}]}
    async with serving({"/v1/models": listed}, key=KEY) as url:
        findings = await found({"OPENAI_API_KEY": f"{KEY}\n", "OPENAI_BASE_URL": f"{url}/v1/"})
    settings = Settings.model_validate(findings.configuration)
    assert [(model.name, model.price.output) for model in settings.models] == [("gpt-4o", 10.0), ("gpt-4o-mini", 0.6)]
    key = settings.endpoints[0].api_key
    assert key is not None
    assert key.get_secret_value() == KEY
    assert KEY not in repr(findings)


async def test_a_refused_key_and_another_gateway_bring_nothing_but_a_line() -> None:
    async with serving({"/v1/models": OURS}, key=KEY) as url:
        refused = await found({"OPENAI_API_KEY": "wrong", "OPENAI_BASE_URL": f"{url}/v1"})
        ours = await found({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1"})
    assert refused.lines == [f"OPENAI_API_KEY: {url}/v1 refuses it (401)"]
    assert ours.lines == [f"OPENAI_API_KEY: not used, for {url}/v1 is a paretogate"]
    assert refused.endpoints == ours.endpoints == []


async def test_an_account_that_does_not_list_is_believed() -> None:
    findings = await found({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{NOWHERE}/v1"})
    assert [model["name"] for model in findings.models] == list(openai_models())
    assert "its usual ones" in findings.lines[0]


async def test_one_model_in_two_places_is_one_model_unless_the_prices_differ() -> None:
    tags = {"models": [{"name": "m:1b"}, {"name": "gpt-4o"}]}
    listed = {"data": [{"id": "m:1b", "owned_by": "vllm"}]}
    async with serving({"/api/tags": tags, "/v1/models": listed}) as url:
        findings = await found({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{NOWHERE}/v1"}, ollama=url, local=url)
    settings = Settings.model_validate(findings.configuration)
    assert [place.name for place in settings.endpoints if place.model == "m:1b"] == ["ollama-m:1b", "vllm-m:1b"]
    apart = next(place for place in settings.endpoints if place.name == "ollama-gpt-4o")
    assert (apart.model, apart.serves) == ("gpt-4o@ollama", "gpt-4o")


def test_what_is_not_in_the_table_is_judged_by_its_size() -> None:
    sizes = ("a-1b", "b-7B-chat", "c-8x22b", "d:70b", "e-900b")
    qualities = [local_model(name)["prior"]["quality"] for name in sizes]
    assert qualities == sorted(qualities)
    assert len(set(qualities)) == len(sizes)
    assert local_model("nameless", size="3.2B")["prior"] == local_model("x-3b")["prior"]
    assert openai_model("no-such-model") is None


def test_the_bundled_artifact_knows_who_the_models_are_like() -> None:
    manifest = json.loads((files("predictors") / "starter" / "manifest.json").read_text(encoding="utf-8"))
    table = json.loads((files("gateway.discovery") / "known_models.json").read_text(encoding="utf-8"))
    likes = {entry["like"] for part in ("openai", "open") for entry in table[part]}
    assert [
        like for like in likes if not (resolve(like, manifest["models"]) or stand_in(like, manifest["models"]))
    ] == []
