"""What a prompt looks like, as numbers."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.base import Prompt
from predictors.structure import FEATURES, structure

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["a", "b"]}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


@given(st.lists(st.builds(Prompt, st.text(max_size=80), st.text(max_size=40)), max_size=5))
def test_every_prompt_has_finite_features_of_its_own(prompts: list[Prompt]) -> None:
    table = structure(prompts)
    assert table.shape == (len(prompts), FEATURES)
    assert np.isfinite(table).all()
    for row, prompt in enumerate(prompts):
        np.testing.assert_array_equal(table[row], structure([prompt])[0])


def changed(one: Prompt, other: Prompt) -> int:
    left, right = structure([one, other])
    return int((left != right).sum())


def test_options_code_latex_and_scripts_show() -> None:
    plain = Prompt("which of these is it one two three")
    assert changed(plain, Prompt("which of these is it\nA. one\nB. two\nC. three")) > 3
    assert changed(Prompt("x y"), Prompt("\\frac{x}{y}")) > 3
    assert changed(Prompt("hello"), Prompt("привет")) > 2


def test_tools_are_measured() -> None:
    none, one, two = structure(
        [Prompt("weather in the city"), *(Prompt("weather in the city", json.dumps([TOOL] * n)) for n in (1, 2))]
    )
    assert (none[-9:] == 0).all()
    assert one[-9] == two[-9] == 1
    assert two[-8] > one[-8]
    assert one[-1] > 0, "the text names a part of the schema"


def test_tools_that_are_no_json_or_nested_deeply_are_legal() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert np.isfinite(structure([Prompt("", "{"), Prompt("", "3"), Prompt("", deep)])).all()
