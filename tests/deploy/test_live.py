"""Every expression of boards and alerts, asked of a real Prometheus that watches a real gateway under load."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from tests.deploy.boards import alert_expressions, board_expressions
from tests.deploy.live import Site, crowd, shown, site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_server import RedisServer

PATIENCE_S = 150.0  # until every panel must show something


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Iterator[Site]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; tests/servers.sh installs it")
    with site(tmp_path_factory.mktemp("site"), shared_redis.url, program) as started:
        yield started


def test_no_panel_is_empty_and_no_expression_is_wrong(live: Site) -> None:
    """Expressions of alerts must be right; quiet ones are empty."""
    ends_at = time.monotonic() + PATIENCE_S
    empty = board_expressions()
    with httpx.Client(base_url=live.prometheus) as http:
        while empty and time.monotonic() < ends_at:
            anyio.run(crowd, live.gateway)
            empty = [each for each in empty if not shown(http, each)]
        assert [str(each) for each in empty] == []
        for each in alert_expressions():
            shown(http, each)
