"""What a replica says to the shared book, and when: without a server, in time that jumps."""

from __future__ import annotations

import asyncio

from gateway.domain import Capacity
from gateway.load.base import Claim
from gateway.load.exchange import KEEP, Heard, Names
from gateway.load.ledger import Ledger
from gateway.load.outbox import COMPANY_S, Outbox
from gateway.load.waiters import LATELY_S, Waiters
from tests.clock import jump


class Desk:
    """An outbox that others hear."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiters = Waiters()
        self.outbox = Outbox(Ledger({"a": Capacity(8)}), Names("test", "replica"), self.loop.time, self.waiters)
        self.outbox.shared = True

    async def hold(self, lease_id: str) -> None:
        """Takes a lease."""
        async with asyncio.TaskGroup() as group:
            wish = group.create_task(self.outbox.wish([Claim(lease_id, "a", 10)]))
            await self.outbox.ready.wait()
            self.exchange()
        assert wish.result() == [True]

    def exchange(self) -> tuple[list[str], list[str]]:
        """The leases that the next exchange ends and claims; all is granted."""
        self.outbox.ready.clear()
        ask = self.outbox.draft(KEEP).ask
        positions = len(ask.limits)
        heard = Heard("book", 0, [1] * len(ask.claimed), [], 1, -1, 0, [-1] * positions)
        self.outbox.hear(heard, renewed=False)
        return ask.ended, ask.claimed


def test_a_release_travels_with_the_claim_that_comes_next() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.hold("held")
        desk.outbox.end("held", 10)
        assert not desk.outbox.ready.is_set()
        async with asyncio.TaskGroup() as group:
            claiming = group.create_task(desk.outbox.wish([Claim("next", "a", 10)]))
            await desk.outbox.ready.wait()
            assert desk.exchange() == (["replica|10|held"], ["replica|10|next"])
        assert claiming.result() == [True]
        await asyncio.sleep(2 * COMPANY_S)
        assert not desk.outbox.ready.is_set()  # nothing is left to be said

    jump(story())


def test_a_release_without_company_is_told_soon() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.hold("held")
        began = desk.loop.time()
        desk.outbox.end("held", 10)
        await desk.outbox.ready.wait()
        assert desk.loop.time() - began <= COMPANY_S * 1.001
        assert desk.exchange() == (["replica|10|held"], [])

    jump(story())


def test_where_somebody_waits_for_room_or_did_a_moment_ago_a_release_is_told_at_once() -> None:
    async def told_at_once(desk: Desk, lease_id: str) -> bool:
        await desk.hold(lease_id)
        desk.outbox.end(lease_id, 10)
        at_once = desk.outbox.ready.is_set()
        desk.exchange()
        return at_once

    async def story() -> None:
        desk = Desk()
        async with asyncio.TaskGroup() as group:
            group.create_task(desk.waiters.wait())
            await asyncio.sleep(0)
            assert await told_at_once(desk, "one")
            desk.waiters.wake()
        assert await told_at_once(desk, "two")
        await asyncio.sleep(LATELY_S)
        assert not await told_at_once(desk, "three")

    jump(story())
