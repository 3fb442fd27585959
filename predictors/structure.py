"""What a prompt looks like: length, marks, digits, code, mathematics, options, script, tools. FEATURES numbers each.

All texts lie in one byte buffer and are counted together: a loop over characters would cost more than the n-grams.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from predictors.base import Prompt

    Bools = NDArray[np.bool_]
    Index = NDArray[np.int64]

_MARKS = b"\n?$\\^_=()[]{},.:;'\"%+-*/<>|#@`&!~"
_NEGATIONS = ("not ", "n't ", "except", "least", "never", "false")
_CODE = ("def ", "return", "import ", "class ", "print(", "function", "lambda", "SELECT ", "const ", "void ", "```")
_WORDS = re.compile(r"\w+")
_TOOL_FEATURES = 9
_RUNS = 6  # features of _runs
_SHAPE = 7  # features of _shape


def _byte_groups() -> NDArray[np.float64]:
    """(256, G) which bytes are counted together."""
    groups = [bytes([mark]) for mark in _MARKS]
    groups += [b"0123456789", bytes(range(65, 91)), bytes(range(97, 123)), b" ", bytes(range(128, 256))]
    # Lead bytes of UTF-8 tell scripts apart: Latin with accents, Greek and Cyrillic, Semitic, Indic, CJK and Hangul.
    groups += [bytes(range(a, b)) for a, b in ((0xC3, 0xC8), (0xCD, 0xD4), (0xD6, 0xDF), (0xE0, 0xE2), (0xE3, 0xEE))]
    table = np.zeros((256, len(groups)))
    for column, group in enumerate(groups):
        table[list(group), column] = 1
    return table


def _member(characters: bytes) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


_GROUPS = _byte_groups()
_RATIOS = slice(len(_MARKS), len(_MARKS) + 5)
_SPACE = _member(b" \t\r\n\0")
_DIGIT = _member(b"0123456789")
_LETTER = _member(bytes(range(65, 91)) + bytes(range(97, 123)))
_LABEL = _member(b"ABCDEFGHIJabcdefghij123456789")  # of an answer's option
_AFTER_LABEL = _member(b".):")
_BEFORE_LABEL = _member(b"\n(")


def structure(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
    """(Q, FEATURES) counts on a log scale, and shares."""
    if not prompts:
        return np.zeros((0, FEATURES), np.float32)
    pieces = [prompt.text.encode("utf-8", "replace") for prompt in prompts]
    sizes = np.array([len(piece) for piece in pieces])
    # A line break before each text and three after the last, so that its first line begins like the others.
    raw = np.frombuffer(b"\n" + b"\n".join(pieces) + b"\n\n\n", np.uint8)
    owner = np.repeat(np.arange(len(pieces)), sizes + 1)
    body = raw[: owner.size]
    histogram = np.bincount(owner * 256 + body, minlength=len(pieces) * 256).reshape(-1, 256)
    counts = histogram @ _GROUPS
    shares = counts[:, _RATIOS] / (sizes[:, None] + 1)
    shape = np.array([[*_shape(prompt.text), *_tools(prompt)] for prompt in prompts])
    columns = [np.log1p(sizes)[:, None], np.log1p(counts), shares, _runs(raw, owner, sizes), shape]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _runs(raw: NDArray[np.uint8], owner: Index, sizes: Index) -> NDArray[np.float64]:
    """(Q, _RUNS): words, the longest of them, numbers, the longest of them, options, LaTeX commands."""
    rows = sizes.size
    words, longest = _run_lengths(~_SPACE[raw], owner, rows)
    numbers, digits = _run_lengths(_DIGIT[raw], owner, rows)
    size = owner.size
    option = _BEFORE_LABEL[raw[:size]] & _LABEL[raw[1 : size + 1]] & _AFTER_LABEL[raw[2 : size + 2]]
    command = (raw[:size] == ord("\\")) & _LETTER[raw[1 : size + 1]]
    options, commands = (np.bincount(owner[mask], minlength=rows) for mask in (option, command))
    return np.stack([*map(np.log1p, (words, longest, numbers, digits, options, commands))], axis=1)


def _run_lengths(inside: Bools, owner: Index, rows: int) -> tuple[Index, Index]:
    """Of runs of bytes in each text: how many, and the longest. No run crosses texts, for line breaks lie between."""
    change = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    begin, end = change[::2], change[1::2]
    whose = owner[begin]
    count = np.bincount(whose, minlength=rows)
    longest = np.zeros(rows, np.int64)
    np.maximum.at(longest, whose, end - begin)
    return count, longest


def _shape(text: str) -> Iterator[float]:
    words = text.split()
    tail = text[-16:].rstrip()[-1:]
    yield len(text) / (len(words) + 1)
    yield len(set(words)) / (len(words) + 1)
    yield np.log1p(len(text) / (text.count("\n") + 1))
    yield np.log1p(sum(map(text.count, _NEGATIONS)))
    yield np.log1p(sum(map(text.count, _CODE)))
    yield float(tail == "?") - float(tail == ":")
    yield float(text[:1].islower())


def _tools(prompt: Prompt) -> list[float]:
    """How many tools, how large and how nested their schemas, and how much of them the text names."""
    if not prompt.tools:
        return [0.0] * _TOOL_FEATURES
    try:
        tools = json.loads(prompt.tools)
    except (ValueError, RecursionError):
        tools = []
    tools = tools if isinstance(tools, list) else [tools]
    nodes = list(_nodes(tools))
    named = {word.lower() for word in _WORDS.findall(prompt.text)}
    offered = {word.lower() for word in _WORDS.findall(prompt.tools.replace("_", " "))}
    properties = [len(value) for key, value, _ in nodes if key == "properties" and isinstance(value, dict)]
    required = [len(value) for key, value, _ in nodes if key == "required" and isinstance(value, list)]
    return [
        1.0,
        np.log1p(len(tools)),
        np.log1p(len(prompt.tools)),
        np.log1p(len(prompt.tools) / max(len(tools), 1)),
        np.log1p(sum(properties)),
        np.log1p(sum(required)),
        np.log1p(sum(key == "enum" for key, _, _ in nodes)),
        float(max((depth for _, _, depth in nodes), default=0)),
        len(named & offered) / (len(named) + 1),
    ]


def _nodes(root: object) -> Iterator[tuple[str, Any, int]]:
    """Key, value and depth of every field of nested objects and lists."""
    waiting: list[tuple[object, int]] = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict):
            yield from ((str(key), inner, depth) for key, inner in value.items())
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, depth) for inner in value]


FEATURES = 1 + _GROUPS.shape[1] + 5 + _RUNS + _SHAPE + _TOOL_FEATURES
