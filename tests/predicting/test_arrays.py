"""Arrays as bytes: they come back as they were, and nothing else is taken for arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gateway.predicting.arrays import HEADER_LIMIT, ArraysError, pack, unpack

TABLES = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([0.5, np.nan]), "none": np.zeros((0, 4))}
WORDS = {"protocol": "1", "names": '["ä"]'}


@given(
    arrays(np.float32, array_shapes(min_dims=0, max_dims=3, min_side=0)),
    arrays(np.float64, array_shapes(max_dims=2)),
    st.dictionaries(st.text(), st.text()),
)
def test_what_is_packed_comes_back(one: np.ndarray, two: np.ndarray, words: dict[str, str]) -> None:
    found, said = unpack(pack({"one": one, "two": two}, words))
    np.testing.assert_array_equal(found["one"], one)
    np.testing.assert_array_equal(found["two"], two)
    assert [str(found[name].dtype) for name in ("one", "two")] == ["float32", "float64"]
    assert said == words


def test_the_layout_is_that_of_safetensors() -> None:
    content = pack(TABLES, WORDS)
    size = int.from_bytes(content[:8], "little")
    assert (8 + size) % 8 == 0
    header = json.loads(content[8 : 8 + size])
    assert header["a"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    assert header["b"] == {"dtype": "F64", "shape": [2], "data_offsets": [24, 40]}
    assert header["__metadata__"] == WORDS


def test_bytes_that_were_cut_short_are_refused() -> None:
    content = pack(TABLES, WORDS)
    for end in range(len(content)):
        with pytest.raises(ArraysError):
            unpack(content[:end])


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(ArraysError):
        unpack(noise)


def header(place: object) -> bytes:
    head = json.dumps({"x": place}).encode()
    return len(head).to_bytes(8, "little") + head + b"\0" * 64


@pytest.mark.parametrize(
    "place",
    [
        {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-8, 8]},
        {"dtype": "F32", "shape": [40], "data_offsets": [0, 160]},
        {"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0]},
        {"dtype": "F32", "shape": [4]},
        [1, 2],
    ],
)
def test_an_array_that_does_not_lie_where_it_says_is_refused(place: object) -> None:
    with pytest.raises(ArraysError):
        unpack(header(place))


def test_a_header_is_not_read_without_limit() -> None:
    with pytest.raises(ArraysError, match="no header"):
        unpack((HEADER_LIMIT + 1).to_bytes(8, "little") + b" " * (HEADER_LIMIT + 1))
