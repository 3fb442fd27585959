"""What a prompt looks like, as numbers."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.base import Prompt
from predictors.structure import FEATURES, structure

RUNS = slice(FEATURES - 9 - 7 - 6, FEATURES - 9 - 7)  # before the shape and the tools

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


def counted_one_by_one(text: str) -> list[int]:
    """Words, numbers, options and commands, by a loop over bytes."""
    raw = b"\n" + text.encode("utf-8", "replace") + b"\n\n"
    starts = range(1, len(raw) - 2)
    space, digit, label = b" \t\r\n\0", b"0123456789", b"ABCDEFGHIJabcdefghij123456789"
    return [
        sum(raw[at] not in space and raw[at - 1] in space for at in starts),
        sum(raw[at] in digit and raw[at - 1] not in digit for at in starts),
        sum(raw[at - 1] in b"\n(" and raw[at] in label and raw[at + 1] in b".):" for at in starts),
        sum(raw[at] == ord("\\") and chr(raw[at + 1]).isascii() and chr(raw[at + 1]).isalpha() for at in starts),
    ]


@given(st.text("a A1(.)\\:\n\t\0\v\fz7é", max_size=60))
def test_runs_are_those_of_a_loop_over_bytes(text: str) -> None:
    words, numbers, options, commands = counted_one_by_one(text)
    runs = np.expm1(structure([Prompt(text)])[0, RUNS]).round().astype(int).tolist()
    assert [runs[0], runs[2], runs[4], runs[5]] == [words, numbers, options, commands]


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
