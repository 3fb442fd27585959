"""What a prompt looks like: length, marks, digits, code, mathematics, options, script, tools. FEATURES numbers each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from predictors.base import Prompt

_MARKS = b"\n?$\\^_=()[]{},.:;'\"%+-*/<>|#@`&!~"
_OPTION = re.compile(r"(?m)^\s*\(?[A-Ja-j1-9][.):] ")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(r"\b(?:not|except|least|false|incorrect|never|no)\b", re.IGNORECASE)
_CODE = re.compile(r"\b(?:def|return|import|class|function|print|assert|lambda|SELECT|const|void)\b")
_LATEX = re.compile(r"\\[a-zA-Z]+")
_WORDS = re.compile(r"\w+")
_TOOL_FEATURES = 9


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


_GROUPS = _byte_groups()
_RATIOS = slice(len(_MARKS), len(_MARKS) + 5)


def structure(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
    """(Q, FEATURES) counts on a log scale, and shares."""
    if not prompts:
        return np.zeros((0, FEATURES), np.float32)
    pieces = [prompt.text.encode("utf-8", "replace") for prompt in prompts]
    sizes = np.array([len(piece) for piece in pieces])
    raw = np.frombuffer(b"".join(pieces), np.uint8).astype(np.int64)
    owner = np.repeat(np.arange(len(pieces)) * 256, sizes)
    histogram = np.bincount(owner + raw, minlength=len(pieces) * 256).reshape(-1, 256)
    counts = histogram @ _GROUPS
    shares = counts[:, _RATIOS] / (sizes[:, None] + 1)
    shape = np.array([[*_shape(prompt.text), *_tools(prompt)] for prompt in prompts])
    columns = [np.log1p(sizes)[:, None], np.log1p(counts), shares, shape]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _shape(text: str) -> Iterator[float]:
    words = text.split()
    numbers = _NUMBER.findall(text)
    lines = text.count("\n") + 1
    tail = text.rstrip()[-1:]
    yield np.log1p(len(words))
    yield len(text) / (len(words) + 1)
    yield len(set(words)) / (len(words) + 1)
    yield np.log1p(len(text) / lines)
    yield np.log1p(len(_OPTION.findall(text)))
    yield np.log1p(len(numbers))
    yield np.log1p(max(map(len, numbers), default=0))
    yield np.log1p(len(_NEGATION.findall(text)))
    yield np.log1p(len(_CODE.findall(text)))
    yield np.log1p(len(_LATEX.findall(text)))
    yield np.log1p(text.count("    ") + text.count("\t"))
    yield np.log1p(max(map(len, words), default=0))
    yield float(tail == "?")
    yield float(tail == ":")
    yield float(text[:1].islower())


def _tools(prompt: Prompt) -> list[float]:
    """How many tools, how large and how nested their schemas, and how much of them the text names."""
    if not prompt.tools:
        return [0.0] * _TOOL_FEATURES
    try:
        tools = json.loads(prompt.tools)
    except ValueError:
        tools = []
    tools = tools if isinstance(tools, list) else [tools]
    nodes = [node for tool in tools for node in _nodes(tool, 0)]
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


def _nodes(value: object, depth: int) -> Iterator[tuple[str, Any, int]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner, depth
            yield from _nodes(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner, depth)


FEATURES = 1 + _GROUPS.shape[1] + 5 + 15 + _TOOL_FEATURES
