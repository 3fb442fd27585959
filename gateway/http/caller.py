"""Who calls, by the Authorization header, and which paths need whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain import ANYONE
from gateway.errors import InvalidKeyError, PermissionDeniedError
from gateway.http.page import PAGE_PATHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.keyring import Keyring
    from gateway.domain import Key

KEY: Final = "paretogate.key"  # where the routes find the caller's key, in the ASGI scope
# probes carry no key and tell nothing of use; the page itself is the same for everybody, what it shows is not in it
PROBES: Final = frozenset({"/livez", "/readyz"})
FOR_ANYONE: Final = PROBES | PAGE_PATHS
FOR_ADMINS: Final = frozenset({"/metrics", "/overview"})


def caller(keyring: Keyring, headers: Mapping[bytes, bytes]) -> Key:
    """The key of a request.

    Raises:
        InvalidKeyError: there are keys, and it carries none of them.
    """
    if not keyring:
        return ANYONE
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    key = keyring.holder(token.strip())
    if key is None or scheme.lower() != b"bearer":
        raise InvalidKeyError("missing or wrong API key; send it as `Authorization: Bearer KEY`")
    return key


def visitor(keyring: Keyring, path: str, headers: Mapping[bytes, bytes]) -> Key:
    """The key of a request that is about the gateway. Whatever path is not known to be open needs one.

    Raises:
        InvalidKeyError: as `caller`.
        PermissionDeniedError: the path is for keys with `admin: true`.
    """
    plain = path.removeprefix("/v1")
    if plain in FOR_ANYONE:
        return ANYONE
    key = caller(keyring, headers)
    if plain in FOR_ADMINS and not key.admin:
        raise PermissionDeniedError(f"{path}: the key {key.name!r} is not an admin's")
    return key
