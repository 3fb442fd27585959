"""Who is calling: a token is looked for among the digests of all keys, and what its key may use."""

from __future__ import annotations

from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from gateway.domain import ANYONE, Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.fleet import Fleet


class Keyring:
    """The configured keys. Empty, it lets everybody in as `ANYONE`."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def holder(self, token: bytes) -> Key | None:
        """The key of this token; None when there is none.

        The whole digest is compared with that of every key, whatever the token: the time says neither whether a key is
        nearly right nor which one it is. A digest of a random token needs no salt and no slow hash: there is nothing to
        guess.
        """
        digest = sha256(token).digest()
        found = None
        for key in self._keys:
            if compare_digest(key.digest, digest):
                found = key
        return found


OPEN: Final = Keyring(())


def may_name(key: Key, fleet: Fleet, target: str) -> bool:
    """Whether the key may send this name as `model`."""
    if key is ANYONE:
        return True
    if target in fleet.routes:
        return _matches(target, key.routes) and bool(may_answer(key, fleet.candidates(target)))
    return _matches(target, key.models)


def may_answer(key: Key, models: Sequence[str]) -> tuple[str, ...]:
    """Those of the models that may answer the key's queries."""
    return tuple(name for name in models if _matches(name, key.models))


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
