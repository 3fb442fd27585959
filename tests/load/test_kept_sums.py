"""Promises over a restart without Redis."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from gateway.load.kept_sums import KeptSums

if TYPE_CHECKING:
    from pathlib import Path

SUMS = {"n": 100.0, "quality": 70.25}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sums.json"


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def names(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir()]


async def kept(path: Path) -> KeptSums:
    """As a gateway begins with them."""
    sums = KeptSums(path)
    async with sums.running():
        return sums


async def test_sums_survive_a_restart(path: Path) -> None:
    async with (first := KeptSums(path)).running():
        await first.add("auto:quality", SUMS)
        await first.add("auto:quality", {"cost": 0.5})
    again = await kept(path)
    assert await again.read("auto:quality") == {**SUMS, "cost": 0.5}
    assert names(path) == ["sums.json"]


async def test_they_are_written_while_it_runs(path: Path) -> None:
    sums = KeptSums(path, interval_s=0.0)
    async with sums.running():
        await sums.add("auto", SUMS)
        while names(path) != ["sums.json"]:
            await sums.read("auto")
            await asyncio.sleep(0)
        assert await (await kept(path)).read("auto") == SUMS


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"version": 2, "sums": {}}', b'{"version": 1, "sums": {"a": {"n": "much"}}}'],
)
async def test_a_file_that_is_none_of_ours_begins_anew_and_is_named(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, content)
    sums = await kept(path)
    assert await sums.read("auto") == {}
    assert str(path) in caplog.text


async def test_a_place_that_cannot_be_written_is_named_once_and_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sums = KeptSums(tmp_path / "nowhere" / "sums.json", interval_s=0.0)
    async with sums.running():
        for _ in range(50):
            await sums.add("auto", {"n": 1.0})
            await asyncio.sleep(0)
    assert (await sums.read("auto"))["n"] > 0
    assert caplog.text.count("cannot be written") == 1


async def test_an_unused_gateway_writes_nothing(path: Path) -> None:
    await kept(path)
    assert names(path) == []
