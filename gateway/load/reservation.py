"""A held slot, and the only way to hold one: `async with`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from gateway.load.base import Claim, LoadBook


class Reservation:
    """A granted claim. Leaving its block, by whatever door, frees the slot exactly once.

    Whoever was granted one and has no use for it (its query has gone) enters and leaves it at once.
    """

    __slots__ = ("_book", "_left", "_used_tokens", "endpoint", "lease_id")

    def __init__(self, book: LoadBook, claim: Claim) -> None:
        self._book = book
        self._left = False
        self._used_tokens: int | None = None
        self.endpoint = claim.endpoint
        self.lease_id = claim.lease_id

    def settle(self, used_tokens: int) -> None:
        """Says what was really used, input and output: 0 when nothing was sent. Unsaid, the estimate stands."""
        self._used_tokens = used_tokens

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._left:
            self._left = True
            # No shield: a release takes effect before it first waits.
            await self._book.release(self.lease_id, used_tokens=self._used_tokens)


async def reserve(book: LoadBook, claims: Sequence[Claim]) -> list[Reservation | None]:
    """One reservation per claim, None where it was refused. Enter each of them."""
    verdicts = await book.reserve(claims)
    return [Reservation(book, claim) if granted else None for claim, granted in zip(claims, verdicts, strict=True)]
