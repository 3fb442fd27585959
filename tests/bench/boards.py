"""What every panel and every alert shows after some minutes of load.

    python -m tests.bench.boards --minutes 3

A gateway with Redis before a replay upstream is asked by `paretogate drive` and by clients that give feedback, while
Debian's Prometheus watches it. Then each expression is evaluated and its values are listed. Ends with 1 when a panel is
empty or an expression is wrong; quiet alerts are empty, as they should be.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio
import httpx

from tests.deploy.boards import alert_expressions, board_expressions
from tests.deploy.live import POOL, TOKEN, crowd, shown, site
from tests.redis_server import RedisServer
from tests.running import PARETOGATE

if TYPE_CHECKING:
    from tests.deploy.boards import Expression
    from tests.deploy.live import Site

ROUTES = ("auto", "good", "cheap")
PER_SECOND = 10
RATE_S = 60
SOME = 5  # values of one expression that are listed


def load(where: Site, seconds: float) -> int:
    """Drives the routes in turn for so long; the queries that were driven."""
    ends_at, driven = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at:
        route = ROUTES[driven % len(ROUTES)]
        command = [PARETOGATE, "drive", "--pool", POOL, "--base-url", f"{where.gateway}/v1", "--api-key", TOKEN]
        command += ["--model", route, "--rate", str(PER_SECOND), "--stream"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        anyio.run(crowd, where.gateway)
        driven += 1
    return driven


def listed(http: httpx.Client, expression: Expression, range_s: int, *, may_be_empty: bool) -> bool:
    """Prints what it shows; whether that is well."""
    try:
        values = shown(http, expression, RATE_S, range_s)
    except AssertionError as error:
        sys.stdout.write(f"WRONG  {error}\n")
        return False
    some = " ".join(f"{value:.6g}" for value in values[:SOME])
    more = f" … ({len(values)} series)" if len(values) > SOME else ""
    state = "ok" if values else "quiet" if may_be_empty else "EMPTY"
    sys.stdout.write(f"{state:6} {expression}: {some}{more}\n")
    return bool(values) or may_be_empty


def main(minutes: float) -> int:
    program = shutil.which("prometheus")
    if program is None:
        sys.stderr.write("prometheus is not installed; tests/servers.sh installs it\n")
        return 2
    with (
        TemporaryDirectory() as folder,
        RedisServer() as redis,
        site(Path(folder), redis.url, program) as its,
    ):
        passes = load(its, 60 * minutes)
        sys.stdout.write(f"{passes} passes of the demonstration pool in {minutes:g} minutes\n")
        with httpx.Client(base_url=its.prometheus) as http:
            range_s = round(60 * minutes)
            panels = [listed(http, each, range_s, may_be_empty=False) for each in board_expressions()]
            alerts = [listed(http, each, range_s, may_be_empty=True) for each in alert_expressions()]
    bad = panels.count(False) + alerts.count(False)
    sys.stdout.write(f"{len(panels)} expressions of panels, {len(alerts)} of alerts; {bad} empty or wrong\n")
    return int(bad > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    sys.exit(main(parser.parse_args().minutes))
