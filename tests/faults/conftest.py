"""One record of a run, and the stage that the rows of upstreams and clients share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.lab.replay_fault_kinds import refusing
from tests.faults.record import Record
from tests.faults.stage import Stage, fleet, gateway, replaying
from tests.faults.upstream_rows import REFUSING, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def record() -> Iterator[Record]:
    kept = Record()
    yield kept
    kept.write()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway with an endpoint for each row, so that the breaker of one is no matter of another's."""
    folder = tmp_path_factory.mktemp("upstreams")
    names = [row.model for row in ROWS if row.kind != REFUSING]
    with refusing() as nobody, replaying(folder, names) as upstream:
        urls = {row.model: f"{nobody}/v1" for row in ROWS if row.kind == REFUSING}
        with gateway(folder, fleet(upstream, names, urls), upstream) as staged:
            yield staged
            staged.faultless()
