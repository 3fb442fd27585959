"""A LiteLLM configuration becomes ours, and what comes out passes `check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.discovery.litellm import imported
from gateway.errors import ConfigurationError
from gateway.settings import Settings, parse

if TYPE_CHECKING:
    from pathlib import Path

THEIRS = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 500
      tpm: 30000
      timeout: 120
    model_info:
      input_cost_per_token: 0.0000025
      output_cost_per_token: 1e-5
      cache_read_input_token_cost: 1.25e-6
      max_input_tokens: 128000
      supports_audio_input: false
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: os.environ/SECOND_BASE
      api_key: sk-this-must-not-be-copied
      weight: 2
  - model_name: team/llama
    litellm_params: {model: hosted_vllm/meta-llama/Llama-3.1-8B-Instruct, api_base: "http://10.0.0.5:8000/v1"}
  - model_name: tiny
    litellm_params: {model: ollama_chat/llama3.2:1b, api_base: "http://localhost:11434"}
  - model_name: fast
    litellm_params:
      model: groq/llama-3.3-70b-versatile
      input_cost_per_token: 5.9e-07
      output_cost_per_token: 7.9e-07
      max_parallel_requests: 8
  - model_name: vectors
    litellm_params: {model: text-embedding-3-small, input_cost_per_token: 2e-08, output_cost_per_token: 0}
    model_info: {mode: embedding}
  - model_name: bedrock-claude
    litellm_params: {model: bedrock/anthropic.claude-3-haiku, aws_region_name: eu-west-1}
  - model_name: "openai/*"
    litellm_params: {model: "openai/*"}
router_settings: {routing_strategy: usage-based-routing-v2, num_retries: 2}
general_settings: {master_key: sk-1234}
"""
ENV = {
    "OPENAI_API_KEY": "sk-one",
    "SECOND_BASE": "http://10.0.0.9/v1",
    "GPT_4O_2_API_KEY": "sk-two",
    "GROQ_API_KEY": "gsk-three",
}


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], env=env)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "litellm.yaml"
    path.write_text(THEIRS, encoding="utf-8")
    return path


@pytest.fixture
def ours(theirs: Path) -> Settings:
    return parse(run("import", "litellm", theirs).stdout, ENV)


def test_what_comes_out_passes_check(theirs: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.yaml"
    result = run("import", "litellm", theirs, "--out", out)
    assert (result.exit_code, result.stdout) == (0, "")
    checked = run("check", out, env=ENV)
    assert checked.exit_code == 0, checked.output
    assert "route auto: tradeoff 5.0 over gpt-4o, team/llama, tiny, fast" in checked.output


def test_deployments_of_one_name_are_replicas(ours: Settings) -> None:
    one, two = (each for each in ours.endpoints if each.model == "gpt-4o")
    assert (one.url, two.url) == ("https://api.openai.com/v1", "http://10.0.0.9/v1")
    keys = [each.api_key.get_secret_value() if each.api_key else "" for each in (one, two)]
    assert keys == ["sk-one", "sk-two"]
    assert (one.capacity.requests_per_minute, one.capacity.tokens_per_minute, one.timeout.total) == (500, 30000, 120)


def test_prices_context_and_abilities(ours: Settings) -> None:
    model = {each.name: each for each in ours.models}
    assert list(model) == ["gpt-4o", "team/llama", "tiny", "fast", "vectors"]
    price = model["gpt-4o"].price
    assert (price.input, price.output, price.cached_input) == (2.5, 10, 1.25)
    assert model["gpt-4o"].context == 128000
    assert {each.value for each in model["gpt-4o"].can or ()} == {"tools", "vision", "json_schema"}
    assert (model["fast"].price.input, model["fast"].price.output) == (0.59, 0.79)
    assert model["tiny"].price.input == 0
    assert model["team/llama"].like == "Llama-3.1-8B"


def test_kinds_and_addresses(ours: Settings) -> None:
    places = {each.name: (each.kind.value, each.url, each.serves) for each in ours.endpoints}
    assert places["team/llama-1"] == ("vllm", "http://10.0.0.5:8000/v1", "meta-llama/Llama-3.1-8B-Instruct")
    assert places["tiny-1"] == ("ollama", "http://localhost:11434/v1", "llama3.2:1b")
    assert places["fast-1"] == ("openai", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    assert places["vectors-1"][2] == "text-embedding-3-small"


def test_everything_else_is_named_and_no_secret_is_shown(theirs: Path) -> None:
    result = run("import", "litellm", theirs)
    for path in (
        "model_list[1].litellm_params.weight",
        "model_list[1].litellm_params.api_key",
        "model_list[6].litellm_params.model",
        "model_list[7].model_name",
        "router_settings.routing_strategy",
        "router_settings.num_retries",
        "general_settings.master_key",
    ):
        assert f"{path}: " in result.stderr
        assert f"# {path}: " in result.stdout
    assert "sk-" not in result.output


def test_a_price_that_nobody_told_is_refused_by_check(tmp_path: Path) -> None:
    theirs, out = tmp_path / "litellm.yaml", tmp_path / "ours.yaml"
    tree = {"model_list": [{"model_name": "m", "litellm_params": {"model": "mistral/m", "api_key": "os.environ/K"}}]}
    theirs.write_text(yaml.safe_dump(tree), encoding="utf-8")
    result = run("import", "litellm", theirs, "--out", out, "--json")
    notes = json.loads(result.stdout)["notes"]
    assert "fill in the model's price" in notes[0][1]
    checked = run("check", out, env={"K": "k"})
    assert checked.exit_code == 1
    assert "models[0].price: missing; a model needs a price" in checked.output
    filled = out.read_text(encoding="utf-8").replace("name: m,", "name: m, price: {input: 1, output: 2},")
    out.write_text(filled, encoding="utf-8")
    assert run("check", out, env={"K": "k"}).exit_code == 0


def test_different_prices_of_one_model_become_the_higher() -> None:
    def deployment(cost: float) -> dict[str, object]:
        params = {"model": "openai/x", "input_cost_per_token": cost, "output_cost_per_token": 2e-6}
        return {"model_name": "auto", "litellm_params": params}

    result = imported({"model_list": [deployment(1e-6), deployment(3e-6)]})
    assert result.models["auto"]["price"] == {"input": 3, "output": 2}
    assert "another price" in result.notes[0][1]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({}, "no model_list"),
        ([], "no model_list"),
        ({"model_list": [{"model_name": "x"}]}, r"model_list\[0\]: left out"),
        ({"model_list": ["x"]}, r"model_list\[0\]: left out"),
    ],
)
def test_what_is_no_such_configuration_is_refused(tree: object, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        imported(tree)


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    assert "cannot be read" in run("import", "litellm", tmp_path / "none.yaml").output
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    assert "not YAML" in run("import", "litellm", tmp_path / "bad.yaml").output
