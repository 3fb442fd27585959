"""Named arrays and words as bytes, in the layout of safetensors: a length, a JSON header, the arrays one after another.

Layout: https://huggingface.co/docs/safetensors. Nothing in it runs when it is read, and arrays are read in place.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.floating]]

KINDS: Final[dict[str, np.dtype[np.floating]]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
NAMES: Final = {kind: name for name, kind in KINDS.items()}
WORDS: Final = "__metadata__"
LENGTH: Final = 8  # bytes, little-endian
HEADER_LIMIT: Final = 2**20  # bytes: thousands of model names


class ArraysError(ValueError):
    """Bytes that are not in this layout."""


def pack(arrays: Mapping[str, NDArray[np.floating]], words: Mapping[str, str]) -> bytes:
    """float32 and float64 arrays of any shape, with words beside them."""
    header: dict[str, object] = {WORDS: dict(words)}
    blocks = []
    start = 0
    for name, array in arrays.items():
        block = np.ascontiguousarray(array).tobytes()
        place = [start, start + len(block)]
        header[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": place}
        blocks.append(block)
        start += len(block)
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    head += b" " * (-len(head) % LENGTH)  # so that float64 arrays lie where processors like them
    return b"".join([len(head).to_bytes(LENGTH, "little"), head, *blocks])


def unpack(content: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays, read-only, and the words.

    Raises:
        ArraysError: it is none of this: cut short, an unknown kind of number, a shape that does not fill its bytes.
    """
    size = int.from_bytes(content[:LENGTH], "little")
    body = LENGTH + size
    if not 0 < size <= HEADER_LIMIT or len(content) < body:
        raise ArraysError("no header of arrays")
    try:
        header = json.loads(content[LENGTH:body])
        words = {str(name): str(word) for name, word in header.pop(WORDS, {}).items()}
        arrays = {name: _array(content, body, **place) for name, place in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ArraysError(f"not arrays: {error}") from error
    return arrays, words


def _array(
    content: bytes, body: int, *, dtype: str, shape: list[int], data_offsets: tuple[int, int]
) -> NDArray[np.floating]:
    kind = KINDS[dtype]
    begin, end = data_offsets
    count = prod(shape)
    if min([begin, *shape], default=0) < 0 or end - begin != count * kind.itemsize or body + end > len(content):
        raise ValueError(f"{shape} numbers do not lie at {begin}..{end}")
    array: NDArray[np.floating] = np.frombuffer(content, dtype=kind, count=count, offset=body + begin).reshape(shape)
    return array
