"""Embeddings that were made once: by a hash of the text, the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LIMIT = 64 * 2**20  # bytes: some forty thousand vectors of 384 numbers
OVERHEAD = 200  # bytes of one entry beside its numbers: key, array object, links


class Embeddings:
    """A bounded cache that any thread may ask. It keeps no text."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Floats] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        self.hits = 0
        self.misses = 0

    @property
    def size(self) -> int:
        """Bytes held, as far as they are counted."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Floats]) -> list[Floats]:
        """One vector per text. `embed` is called once, outside the lock, with the texts that are not kept, if any."""
        keys = [blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        found: dict[bytes, Floats] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
            self.hits += len(keys) - len(missing)
            self.misses += len(missing)
        if missing:
            fresh = dict(zip(missing, embed(list(missing.values())), strict=True))
            found |= fresh
            self._keep(fresh)
        return [found[key] for key in keys]

    def _keep(self, fresh: dict[bytes, Floats]) -> None:
        with self._lock:
            for key, vector in fresh.items():
                if key not in self._kept:
                    self._kept[key] = np.array(vector)  # a view would keep its whole batch alive
                    self._size += vector.nbytes + OVERHEAD
            while self._size > self._limit:
                _, gone = self._kept.popitem(last=False)
                self._size -= gone.nbytes + OVERHEAD
