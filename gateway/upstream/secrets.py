"""What we show an endpoint and nobody else, taken out of what it says when it fails: some quote the whole request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST: Final = 8  # characters; servers that want no key are given `EMPTY` or `ollama`, which are words
REMOVED: Final = b"[removed]"


class Secrets:
    """Of one endpoint, in every form in which a JSON text may hold them."""

    __slots__ = ("_pattern",)

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(longest_first)) if forms else None

    def without(self, text: bytes) -> bytes:
        """The text; where a secret was, it says so."""
        return text if self._pattern is None else self._pattern.sub(REMOVED, text)

    def within(self, text: bytes) -> bool:
        """Whether there is any in it."""
        return self._pattern is not None and self._pattern.search(text) is not None


def _forms(value: str) -> Iterator[bytes]:
    yield value.encode()
    escaped = msgspec.json.encode(value)[1:-1]
    yield escaped
    yield escaped.replace(b"/", b"\\/")  # as PHP writes it
