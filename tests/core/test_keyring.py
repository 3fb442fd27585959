"""Tokens are found by their whole digest, and what a key may use follows from its globs."""

from __future__ import annotations

import sys
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from gateway.core.keyring import OPEN, Keyring, may_answer, may_name
from gateway.domain import ANYONE, Key
from tests.core.fleets import fleet

if TYPE_CHECKING:
    from types import FrameType

NAMES = ("cheap", "dear", "seeing")


def key(token: str, **more: object) -> Key:
    return Key(token, sha256(token.encode()).digest(), **more)  # type: ignore[arg-type] # of any shape


def test_a_token_finds_its_key_and_nothing_else_does() -> None:
    ring = Keyring([key("one"), key("two"), key("three")])
    assert [ring.holder(each.encode()) for each in ("one", "two", "three")] == list(ring)
    assert [ring.holder(each) for each in (b"", b"on", b"onee", b"oneX", b"One", b"four")] == [None] * 6


def test_every_key_is_compared_whatever_the_token() -> None:
    """What makes the time the same: no early end, whichever key it is, or none."""
    ring = Keyring([key("first"), key("second"), key("last")])
    for token in (b"", b"first", b"firsX", b"last", b"unknown", b"x" * 10_000):
        assert comparisons(ring, token) == 3


def comparisons(ring: Keyring, token: bytes) -> int:
    """How often a digest is compared in one look-up."""
    seen: list[object] = []

    def note(_: FrameType, event: str, called: object) -> None:
        if event == "c_call" and called is compare_digest:
            seen.append(called)

    sys.setprofile(note)
    try:
        ring.holder(token)
    finally:
        sys.setprofile(None)
    return len(seen)


def test_what_a_key_may_name_and_who_may_answer_it() -> None:
    its = fleet()
    some = key("some", routes=("auto",), models=("*ea*",))
    assert [name for name in (*its.routes, *NAMES) if may_name(some, its, name)] == ["auto", "cheap", "dear"]
    assert may_answer(some, NAMES) == ("cheap", "dear")
    assert not may_name(key("none", routes=()), its, "auto")
    assert not may_name(key("nobody", models=("claude-*",)), its, "auto")  # it could not be answered


def test_without_keys_anyone_may_use_everything() -> None:
    its = fleet()
    assert not OPEN
    assert all(may_name(ANYONE, its, name) for name in (*its.routes, *NAMES))
    assert may_answer(ANYONE, NAMES) == NAMES


def test_a_digest_is_not_printed() -> None:
    shown = repr(key("shop"))
    assert "digest" not in shown
    assert "shop" in shown
