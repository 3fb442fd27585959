"""What a prompt looks like: length, marks, digits, code, mathematics, options, script, tools. FEATURES numbers each.

Bytes are counted for all texts together; the rest are searches of one text each. No loop over characters.
"""

from __future__ import annotations

import json
import re
from math import log1p
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from predictors.base import Prompt

_MARKS = b"\n?$\\^_=()[]{},.:;'\"%+-*/<>|#@`&!~"
_NEGATIONS = ("not ", "n't ", "except", "least", "never", "false")
_CODE = ("def ", "return", "import ", "class ", "print(", "function", "lambda", "SELECT ", "const ", "void ", "```")
_WORDS = re.compile(r"\w+")
_TOOL_FEATURES = 9
_NO_TOOLS = (0.0,) * _TOOL_FEATURES
_RUNS = 6  # features of _runs
_SHAPE = 7  # features of _shape


def _byte_groups() -> tuple[bytes, int]:
    """For bytes.translate: the group of each byte, and how many groups there are; a last one takes what is in none."""
    groups = [bytes([mark]) for mark in _MARKS]
    groups += [b"0123456789", bytes(range(65, 91)), bytes(range(97, 123)), b" ", bytes(range(128, 256))]
    # Lead bytes of UTF-8 tell scripts apart: Latin with accents, Greek and Cyrillic, Semitic, Indic, CJK and Hangul.
    groups += [bytes(range(a, b)) for a, b in ((0xC3, 0xC8), (0xCD, 0xD4), (0xD6, 0xDF), (0xE0, 0xE2), (0xE3, 0xEE))]
    table = bytearray([len(groups)]) * 256
    for number, group in enumerate(groups):
        for byte in group:
            table[byte] = number
    return bytes(table), len(groups)


_GROUP, _GROUPS = _byte_groups()
_ROOM = 64  # for the groups of one text
_RATIOS = slice(len(_MARKS), len(_MARKS) + 5)
_FOREIGN = len(_MARKS) + 4  # all bytes beyond ASCII, those of the scripts after it too
# Of bytes.split: a zero byte parts words, a form feed and a vertical tab do not.
_ONE_SPACE = bytes.maketrans(b"\0\v\f", b" ..")
_ONLY_DIGITS = bytes(byte if byte in b"0123456789" else 32 for byte in range(256))
_OPTION = re.compile(rb"[\n(](?=[A-Ja-j1-9][.):])")  # of an answer, at the start of a line or in brackets
_COMMAND = re.compile(rb"\\(?=[A-Za-z])")


def structure(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
    """(Q, FEATURES) counts on a log scale, and shares."""
    if not prompts:
        return np.zeros((0, FEATURES), np.float32)
    pieces = [prompt.text.encode("utf-8", "replace") for prompt in prompts]
    sizes = np.array([[len(piece) + 1.0] for piece in pieces])  # each text ends with a line break
    raw = b"\n".join(pieces) + b"\n"
    group: NDArray[np.integer] = np.frombuffer(raw.translate(_GROUP), np.uint8)
    if len(pieces) > 1:
        group = group + np.arange(0, _ROOM * len(pieces), _ROOM).repeat(sizes[:, 0].astype(np.int64))
    histogram = np.bincount(group, minlength=_ROOM * len(pieces)).reshape(-1, _ROOM)
    found = np.empty((len(pieces), FEATURES))
    found[:, :1] = sizes - 1
    counts = found[:, _COUNTS]
    counts[:] = histogram[:, :_GROUPS]
    if not raw.isascii():
        counts[:, _FOREIGN] += np.add.reduce(counts[:, _FOREIGN + 1 :], axis=1)
    np.divide(counts[:, _RATIOS], sizes, out=found[:, _SHARES])
    logarithms = found[:, : _SHARES.start]
    np.log1p(logarithms, out=logarithms)
    found[:, _REST:] = [
        (*_runs(piece), *_shape(prompt.text), *_tools(prompt)) for piece, prompt in zip(pieces, prompts, strict=True)
    ]
    return found.astype(np.float32)


def _runs(piece: bytes) -> tuple[float, ...]:
    """Words, the longest of them, numbers, the longest of them, options, LaTeX commands."""
    words = piece.translate(_ONE_SPACE).split()
    numbers = piece.translate(_ONLY_DIGITS).split()
    return (
        log1p(len(words)),
        log1p(max(map(len, words), default=0)),
        log1p(len(numbers)),
        log1p(max(map(len, numbers), default=0)),
        log1p(len(_OPTION.findall(b"\n" + piece))),
        log1p(len(_COMMAND.findall(piece))),
    )


def _shape(text: str) -> tuple[float, ...]:
    words = text.split()
    tail = text[-16:].rstrip()[-1:]
    return (
        len(text) / (len(words) + 1),
        len(set(words)) / (len(words) + 1),
        log1p(len(text) / (text.count("\n") + 1)),
        log1p(sum(map(text.count, _NEGATIONS))),
        log1p(sum(map(text.count, _CODE))),
        float(tail == "?") - float(tail == ":"),
        float(text[:1].islower()),
    )


def _tools(prompt: Prompt) -> Sequence[float]:
    """How many tools, how large and how nested their schemas, and how much of them the text names."""
    if not prompt.tools:
        return _NO_TOOLS
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
        log1p(len(tools)),
        log1p(len(prompt.tools)),
        log1p(len(prompt.tools) / max(len(tools), 1)),
        log1p(sum(properties)),
        log1p(sum(required)),
        log1p(sum(key == "enum" for key, _, _ in nodes)),
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


_COUNTS = slice(1, 1 + _GROUPS)
_SHARES = slice(_COUNTS.stop, _COUNTS.stop + 5)
_REST = _SHARES.stop
FEATURES = _REST + _RUNS + _SHAPE + _TOOL_FEATURES
