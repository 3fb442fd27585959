"""Processes that a benchmark starts, and what the system says of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

PATIENCE_S = 120.0
TICK = os.sysconf("SC_CLK_TCK")
UNKEPT = "PYTHONDONTWRITEBYTECODE"  # with it our modules, which nobody installed, would be compiled at every start
STILL_S, STILL = 1.0, 0.03  # who uses less than this share of a core for so long is still


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Waits until somebody listens there."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)  # another process: it has no event for us
    raise TimeoutError(f"{process.args!r} does not listen on {port}; it ended with {process.poll()}")


def start(
    stack: ExitStack,
    port: int,
    *command: str | Path,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Runs a server until the stack closes; its process id once it listens. It leads a group of its own."""
    inherited = {name: value for name, value in os.environ.items() if name != UNKEPT}
    said = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
    process = subprocess.Popen(
        command,
        env={**inherited, **(env or {})},
        stdout=said,
        stderr=said,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    stack.callback(process.wait)
    stack.callback(_stop, process)
    until_open(port, process)
    return process.pid


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def until_ready(url: str) -> float:
    """Seconds until it answers 200."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S:
        try:
            if httpx.get(url).is_success:
                return time.monotonic() - began
        except httpx.TransportError:
            pass
        time.sleep(0.01)  # another process: it has no event for us
    raise TimeoutError(f"{url} is not ready")


def group(leader: int) -> list[int]:
    """All processes of its group."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _group_of(path) == leader]


def _group_of(path: Path) -> int:
    try:
        return int((path / "stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()[2])
    except (OSError, ValueError):
        return 0


def cpu_s(leader: int) -> float:
    """CPU seconds that the group has used."""
    used = 0
    for process in group(leader):
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICK


def until_idle(leader: int) -> None:
    """What is loaded after a server is ready would be counted as the work of its first queries.

    Raises:
        TimeoutError: it is never still.
    """
    until, used = time.monotonic() + PATIENCE_S, -inf
    while time.monotonic() < until:
        before, used = used, cpu_s(leader)
        if used - before <= STILL * STILL_S:
            return
        time.sleep(STILL_S)  # another process: it has no event for us
    raise TimeoutError(f"the group of {leader} works without being asked")


def rss_mb(leader: int) -> float:
    """Memory that the group holds."""
    kb = 0
    for process in group(leader):
        for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
            kb += int(line.split()[1]) if line.startswith("VmRSS") else 0
    return kb / 1024
