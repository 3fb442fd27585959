"""The body of an upstream that compresses though it was asked not to: some proxies do, whatever is asked."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from gateway.upstream.protocol import Protocol

GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS  # told by the first bytes
CODINGS: Final = (b"gzip", b"x-gzip", b"deflate")  # RFC 9110, 8.4.1; others need more than Python brings
PART_LIMIT: Final = 256 * 1024  # bytes that are made of a body at once, however few they were


class Unpacked:
    """Reads like the body that it unpacks."""

    def __init__(self, packed: Protocol) -> None:
        self._packed = packed
        self._unpacking = zlib.decompressobj(GZIP_OR_ZLIB)
        self._begun = False  # an error may have no body, whatever its headers say

    async def part(self) -> bytes:
        """What can be read since the last part; empty at the end.

        Raises:
            aiohttp.ClientError: the rest will not come, or cannot be read.
        """
        while packed := self._unpacking.unconsumed_tail or await self._packed.part():
            self._begun = True
            try:
                plain = self._unpacking.decompress(packed, PART_LIMIT)
            except zlib.error as error:
                raise aiohttp.ClientPayloadError(f"the body cannot be unpacked: {error}") from error
            if plain:
                return plain
        if self._begun and not self._unpacking.eof:
            raise aiohttp.ClientPayloadError("the packed body ends too early")
        return b""

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""
        return self._packed.ended and (self._unpacking.eof or not self._begun)
