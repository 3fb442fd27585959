"""Which model a name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.names import aliases, family, nearest, resolve, usual

KNOWN = (
    "gpt-4o-2024-05-13",
    "gpt-4o-2024-08-06",
    "Meta-Llama-3_1-70B-Instruct",
    "Llama-3-70B",
    "claude-3-5-sonnet-20240620",
    "gemini-1.5-pro",
    "gemini-1.5-pro-002",
    "mistralai/mixtral-8x7b-chat",
    "Mistral-7B-Instruct-v0.1",
    "Mistral-7B-Instruct-v0.2",
    "Mistral-Large-2407",
    "c4ai-command-r-v01",
    "qwen2.5-7b-instruct",
    "gpt-4-1106-preview",
)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("GPT-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-08-06"),
        ("llama-3.1-70b", "Meta-Llama-3_1-70B-Instruct"),
        ("meta-llama/Llama-3.1-70B-Instruct", "Meta-Llama-3_1-70B-Instruct"),
        ("llama3.1:70b", "Meta-Llama-3_1-70B-Instruct"),
        ("llama-3-70b", "Llama-3-70B"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet-20240620"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20240620"),
        ("gemini-1.5-pro", "gemini-1.5-pro"),
        ("google/gemini-1.5-pro-001", "gemini-1.5-pro-002"),
        ("Mixtral-8x7B-Instruct-v0.1", "mistralai/mixtral-8x7b-chat"),
        ("mistral-7b", "Mistral-7B-Instruct-v0.2"),
        ("mistral-large", "Mistral-Large-2407"),
        ("command-r", "c4ai-command-r-v01"),
        ("qwen2.5:7b", "qwen2.5-7b-instruct"),
        ("gpt-4", "gpt-4-1106-preview"),
        ("gpt-4o-mini", None),
        ("claude-3-haiku", None),
        ("llama-3.1-8b", None),
        ("", None),
    ],
)
def test_a_name_finds_its_model(asked: str, meant: str | None) -> None:
    assert resolve(asked, KNOWN) == meant


@given(st.sampled_from(KNOWN))
def test_every_known_name_means_itself(name: str) -> None:
    assert resolve(name, KNOWN) == name


@given(st.text(max_size=30))
def test_any_name_is_legal(name: str) -> None:
    assert resolve(name, KNOWN) is None or resolve(name, KNOWN) in KNOWN
    assert set(nearest(name, KNOWN)) <= set(KNOWN)
    usual(name)
    family(name)


def test_the_nearest_names_help_with_a_typing_error() -> None:
    assert "gpt-4o-2024-08-06" in nearest("gtp-4o", KNOWN)
    assert nearest("gpt-4o-mini", KNOWN)


def test_aliases_lead_to_models_and_are_none_themselves() -> None:
    found = aliases(KNOWN)
    assert found["gpt-4-o"] == "gpt-4o-2024-08-06"
    assert set(found.values()) <= set(KNOWN)
    assert not set(found) & set(KNOWN)
