"""Hashes that tell whether a query was trained on, without keeping its text."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from predictors.base import Prompt


def text_hash(text: str) -> int:
    """64 bits of a text. White space at either end and between words does not count."""
    plain = " ".join(text.split()).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def text_hashes(prompts: Iterable[Prompt]) -> NDArray[np.uint64]:
    """(Q,) hash of each prompt's text, in order."""
    return np.array([text_hash(prompt.text) for prompt in prompts], np.uint64)
