"""Keys for tests: a caller's token, its lines in a configuration, and its header."""

from __future__ import annotations

from hashlib import sha256


def token(name: str) -> str:
    return f"pg-{name}-token"


def key(name: str, **more: object) -> dict[str, object]:
    """What the configuration says of a caller."""
    return {"name": name, "hash": f"sha256:{sha256(token(name).encode()).hexdigest()}", **more}


def bearer(name: str) -> dict[str, str]:
    """The header that its SDK sends."""
    return {"authorization": f"Bearer {token(name)}"}
