"""A LiteLLM `model_list` as our configuration: what can be taken over is, and every other key is named.

The keys are those of LiteLLM's documented proxy configuration: a deployment has `model_name`, `litellm_params` and
`model_info`; deployments of one name balance each other, as our endpoints of one model do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gateway.discovery.known import local_model, openai_model
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# OpenAI-compatible addresses that the providers themselves document, and the variable that LiteLLM takes their key from
ADDRESSES: Final = {
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "gemini": ("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together_ai": ("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
    "ollama": ("http://localhost:11434/v1", ""),
    "ollama_chat": ("http://localhost:11434/v1", ""),
    "hosted_vllm": ("", ""),
    "lm_studio": ("", ""),
    "openai_like": ("", ""),
}
KINDS: Final = {"hosted_vllm": "vllm", "ollama": "ollama", "ollama_chat": "ollama"}
OWN_MACHINES: Final = frozenset({"hosted_vllm", "lm_studio", "ollama", "ollama_chat"})
PRICES: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
}
CAPABILITIES: Final = {
    "tools": "supports_function_calling",
    "vision": "supports_vision",
    "audio": "supports_audio_input",
    "json_schema": "supports_response_schema",
}
LIMITS: Final = {
    "concurrency": "max_parallel_requests",
    "tokens_per_minute": "tpm",
    "requests_per_minute": "rpm",
}
PARAMS: Final = frozenset({"model", "api_base", "base_url", "api_key", "timeout", "custom_llm_provider"})
INFO: Final = frozenset({"max_input_tokens", "mode", "base_model", "id", *CAPABILITIES.values()})
PRICED: Final = frozenset(PRICES.values())
VARIABLE: Final = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
CHAT_MODES: Final = (None, "chat", "completion", "responses")
MILLION: Final = 1_000_000
DIGITS: Final = 9  # of a price per million: enough for every list price, and no rounding noise


@dataclass(slots=True)
class Imported:
    """What became of a file. A model without `price` is one whose price nobody told."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    routed: list[str] = field(default_factory=list)  # the models that answer chats
    notes: list[tuple[str, str]] = field(default_factory=list)  # a key's path, and what became of it
    remarks: dict[str, str] = field(default_factory=dict)  # by model: where its price is from

    def note(self, path: str, said: str) -> None:
        self.notes.append((path, said))


def imported(tree: object) -> Imported:
    """Takes over what has an equivalent here.

    Raises:
        ConfigurationError: there is no `model_list`, or nothing in it can be used.
    """
    deployments = tree.get("model_list") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(deployments, list) or not deployments:
        raise ConfigurationError("no model_list: this is no LiteLLM proxy configuration")
    result = Imported()
    for place, deployment in enumerate(deployments):
        _take(result, f"model_list[{place}]", deployment)
    for section in (name for name in tree if name != "model_list"):
        content = tree[section]
        for key in content if isinstance(content, dict) else ():
            result.note(f"{section}.{key}", "not taken over")
        if not isinstance(content, dict):
            result.note(str(section), "not taken over")
    if not result.endpoints:
        said = "; ".join(f"{path}: {what}" for path, what in result.notes)
        raise ConfigurationError(f"nothing of it can be used: {said}")
    return result


def _take(result: Imported, path: str, deployment: object) -> None:
    params = deployment.get("litellm_params") if isinstance(deployment, dict) else None
    name = deployment.get("model_name") if isinstance(deployment, dict) else None
    if not isinstance(deployment, dict) or not isinstance(params, dict) or not isinstance(name, str):
        result.note(path, "left out: a deployment has a model_name and litellm_params")
        return
    info = deployment.get("model_info") or {}
    if "*" in name or not isinstance(params.get("model"), str):
        result.note(f"{path}.model_name", f"left out: {name} names no single model; list each model by its name")
        return
    provider, serves = _provider(params)
    address = _address(params, provider)
    if address is None:
        result.note(
            f"{path}.litellm_params.model",
            f"left out: no OpenAI-compatible address of {provider} is known here; give api_base and openai/{serves}",
        )
        return
    _add_model(result, path, name, (provider, serves), {**info, **params})
    number = sum(each["model"] == name for each in result.endpoints) + 1
    endpoint = {"name": f"{name}-{number}", "model": name, "kind": KINDS.get(provider, "openai"), "serves": serves}
    endpoint |= {"url": address} | _key(result, path, params, provider, endpoint["name"])
    limits = {ours: int(params[theirs]) for ours, theirs in LIMITS.items() if params.get(theirs)}
    timeout = _number(params.get("timeout"))
    result.endpoints.append(
        endpoint | ({"capacity": limits} if limits else {}) | ({"timeout": {"total": timeout}} if timeout else {})
    )
    for key in _not_taken(params, PARAMS | PRICED | set(LIMITS.values())):
        result.note(f"{path}.litellm_params.{key}", "not taken over")
    for key in _not_taken(info, INFO | PRICED):
        result.note(f"{path}.model_info.{key}", "not taken over")


def _not_taken(section: Mapping[str, object], known: frozenset[str]) -> Iterator[str]:
    return (key for key in section if key not in known)


def _provider(params: Mapping[str, Any]) -> tuple[str, str]:
    """LiteLLM's `provider/model`; a name without a provider that is known is OpenAI's."""
    model = str(params["model"])
    told = params.get("custom_llm_provider")
    first, slash, rest = model.partition("/")
    if told:
        return str(told), rest if slash and first == told else model
    return (first, rest) if slash else ("openai", model)


def _address(params: Mapping[str, Any], provider: str) -> str | None:
    """Where it is served; None where nobody knows of an OpenAI-compatible address."""
    told = params.get("api_base") or params.get("base_url")
    if provider not in ADDRESSES:
        return None
    if not told:
        return ADDRESSES[provider][0] or None
    address = VARIABLE.sub(r"${\1}", str(told)).rstrip("/")
    # LiteLLM takes Ollama's own address; its OpenAI-compatible one is below it
    return address if KINDS.get(provider) != "ollama" or address.endswith("/v1") else f"{address}/v1"


def _key(result: Imported, path: str, params: Mapping[str, Any], provider: str, endpoint: str) -> dict[str, str]:
    """The variable that holds the key. A key that stands in the file is never copied."""
    told = params.get("api_key")
    if told is None:
        variable = ADDRESSES[provider][1]
        return {"api_key": f"${{{variable}}}"} if variable and not params.get("api_base") else {}
    if found := VARIABLE.fullmatch(str(told)):
        return {"api_key": f"${{{found[1]}}}"}
    if not str(told) or str(told).lower() in ("none", "fake", "fake-key", "dummy"):
        return {}
    variable = re.sub(r"\W", "_", endpoint).upper() + "_API_KEY"
    result.note(f"{path}.litellm_params.api_key", f"the key itself is not copied; put it into {variable}")
    return {"api_key": f"${{{variable}}}"}


def _add_model(result: Imported, path: str, name: str, served: tuple[str, str], told: Mapping[str, Any]) -> None:
    provider, serves = served
    price = _price(told)
    known = result.models.get(name)
    if known is not None:
        if price and known.get("price") and price != known["price"]:
            higher = {kind: max(price.get(kind, 0), known["price"].get(kind, 0)) for kind in (*price, *known["price"])}
            result.note(path, f"{name} has another price at another endpoint; the higher one is kept")
            known["price"] = higher
        return
    guess = openai_model(serves) if provider == "openai" else None
    believed = guess or local_model(serves)
    model: dict[str, Any] = {"name": name}
    if price:
        model["price"] = price
    elif guess is not None and not told.get("api_base"):
        model["price"] = guess["price"]
        result.remarks[name] = "price: OpenAI's list price of mid 2025, as the file names none; check it"
    elif provider in OWN_MACHINES:
        model["price"] = {"input": 0, "output": 0}
        result.remarks[name] = "price: the file names none; it runs on your own machines, so a token costs nothing"
    else:
        result.note(
            f"{path}.model_info", "no input_cost_per_token and output_cost_per_token: fill in the model's price"
        )
    if context := _number(told.get("max_input_tokens")):
        model["context"] = int(context)
    can = [ours for ours, theirs in CAPABILITIES.items() if told.get(theirs) is not False]
    if len(can) < len(CAPABILITIES):
        model["can"] = can
    model |= {key: believed[key] for key in ("like", "prior") if key in believed}
    result.models[name] = model
    if told.get("mode") in CHAT_MODES:
        result.routed.append(name)


def _price(told: Mapping[str, Any]) -> dict[str, float] | None:
    """USD per million tokens; None unless both prompt and answer have one."""
    values = {ours: _number(told.get(theirs)) for ours, theirs in PRICES.items()}
    if values["input"] is None or values["output"] is None:
        return None
    return {ours: round(value * MILLION, DIGITS) for ours, value in values.items() if value is not None}


def _number(value: object) -> float | None:
    """YAML reads 1e-6 as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
