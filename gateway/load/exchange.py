"""What a replica asks of the shared book in one round trip, and what it hears. The rules are in exchange.lua."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from gateway.load.redis_link import LinkError, Script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.load.base import Claim
    from gateway.load.ledger import Account, Lease

SCRIPT = Script(files("gateway.load").joinpath("exchange.lua").read_text(encoding="utf-8"))

KEEP, WRITE, LEAVE = 0, 1, 2  # what becomes of this replica's leases as a whole


class Ask(msgspec.Struct, array_like=True):
    """In the order in which the script unpacks it. Endpoints are positions, from 1, in `limits`.

    Lists of one thing each, and not a list of tuples: Redis takes a third of the time to read them.
    """

    replica: str
    turn: int = 0
    lease_ms: int = 0
    epoch: str = ""  # becomes the book's, if it has none
    sync: int = KEEP
    waits: int = 0  # 1: somebody here waits for room
    look: int = 0  # how many of the first endpoints to report
    limits: list[tuple[int, ...]] = []
    ended_at: list[int] = []
    ended: list[str] = []
    ended_slice: list[int] = []  # of the estimate
    ended_difference: list[int] = []  # used - estimated tokens
    claimed_at: list[int] = []  # 0: refuse
    claimed: list[str] = []
    claimed_tokens: list[int] = []
    written_at: list[int] = []  # with a sync: all that this replica holds
    written: list[str] = []
    spent: list[tuple[int, int, int]] = []  # with a sync: requests and tokens taken while the book was away


class Heard(msgspec.Struct, array_like=True):
    """In the order in which the script packs it."""

    epoch: str  # another one than before: the book has lost what it knew
    releases: int
    verdicts: list[int]
    rows: list[tuple[int, int, int, int, int]]  # held; free slots, requests, tokens, KV
    replicas: int
    change_ms: int  # until time alone makes room; -1: it will not
    rate_slice: int
    free: list[int]  # slots by position; -1: not looked at


_decoder = msgspec.msgpack.Decoder(Heard)
_encode = msgspec.msgpack.Encoder().encode


def heard(reply: bytes) -> Heard:
    """Reads the script's reply. Raises LinkError when it is none."""
    try:
        return _decoder.decode(reply)
    except (msgspec.DecodeError, TypeError) as error:
        raise LinkError(f"not an answer of ours: {error}") from error


class Names:
    """Keys and members of one deployment's book, as seen by one replica. One hash tag: one node has them all."""

    def __init__(self, prefix: str, replica: str) -> None:
        self.replica = replica
        self._tag = f"{{{prefix}}}"
        self.channel = f"{self._tag}:freed"
        self._fixed = [
            f"{self._tag}:{name}" for name in (f"turn:{replica}", "replicas", "epoch", "releases", "waiting", "clock")
        ]

    def keys(self, endpoints: Iterable[str]) -> list[str]:
        """In the order of the script's KEYS."""
        keys = list(self._fixed)
        for endpoint in endpoints:
            keys += (f"{self._tag}:leases:{endpoint}", f"{self._tag}:rates:{endpoint}")
        return keys

    def member(self, lease_id: str, tokens: int) -> str:
        """How a lease stands in the sorted set of its endpoint."""
        return f"{self.replica}|{tokens}|{lease_id}"


class Draft:
    """An ask in the making."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._positions: dict[str, int] = {}
        self.ask = Ask(names.replica)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """By position, from the first."""
        return tuple(self._positions)

    def at(self, account: Account, now: float) -> int:
        """The position of the endpoint. What it can take goes along."""
        position = self._positions.get(account.endpoint)
        if position is None:
            position = self._positions[account.endpoint] = len(self._positions) + 1
            self.ask.limits.append(account.terms(now))
        return position

    def claim(self, position: int, claim: Claim) -> None:
        ask = self.ask
        ask.claimed_at.append(position)
        ask.claimed.append(self._names.member(claim.lease_id, claim.tokens))
        ask.claimed_tokens.append(claim.tokens)

    def release(self, position: int, lease_id: str, lease: Lease, used_tokens: int | None) -> None:
        ask = self.ask
        ask.ended_at.append(position)
        ask.ended.append(self._names.member(lease_id, lease.tokens))
        ask.ended_slice.append(lease.shared_slice)
        ask.ended_difference.append(0 if used_tokens is None else used_tokens - lease.tokens)

    def write(self, position: int, lease_id: str, tokens: int) -> None:
        self.ask.written_at.append(position)
        self.ask.written.append(self._names.member(lease_id, tokens))

    def sealed(self) -> tuple[list[str], bytes]:
        """The script's KEYS and its first argument."""
        return self._names.keys(self._positions), _encode(self.ask)
