"""Running the application: sockets, workers, signals, and what is served when nothing is configured."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from gateway.app import application
from gateway.connection import Connection
from gateway.settings import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from gateway.http.application import Application
    from gateway.settings import Settings

CONFIG_VARIABLE: Final = "PARETOGATE_CONFIG"  # how worker processes are told
COUNTED_VARIABLE: Final = "PARETOGATE_COUNTED_IN"  # where they add up what they count
GARBAGE: Final = (20_000, 20, 50)  # looking through 10,000 kept decisions took a tenth of the hot path's time
SIGNALS: Final = (SIGTERM, SIGINT)
BACKLOG: Final = 2048  # connections that may wait to be accepted
# An idle connection is the client's to close: load balancers do so after 60 s.
KEEP_ALIVE_S: Final = 75
# A machine that is gone without a word is noticed in 25 s, though its client only waits. Connections inherit this.
PROBES: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


class Server(uvicorn.Server):
    """Told once to stop it takes nobody in and lets answers finish, told twice it stops; either way it ends well."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                probe(listening)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for signal in SIGNALS:
            loop.add_signal_handler(signal, self._told)
        try:
            yield
        finally:
            for signal in SIGNALS:
                loop.remove_signal_handler(signal)

    def _told(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


class Workers(Multiprocess):
    """Hands SIGHUP on: each worker reads the configuration again, and none is started anew."""

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None and process.is_ready():  # one that starts reads what is there now
                os.kill(process.pid, SIGHUP)


def serve(settings: Settings, *, host: str, port: int, workers: int, config: Path) -> None:
    """Serves a configuration until it is told to stop.

    Raises:
        ConfigurationError: what it names cannot be used.
    """
    if workers == 1:
        app = application(settings, source=config)
        settle_memory()
        Server(server_config(app, settings, host, port)).run()
        return
    os.environ[CONFIG_VARIABLE] = str(config)
    shared = server_config("gateway.server:worker", settings, host, port, workers=workers)
    with TemporaryDirectory(prefix="paretogate-") as folder:
        os.environ[COUNTED_VARIABLE] = folder
        listening = shared.bind_socket()
        probe(listening)
        Workers(shared, sockets=[listening]).run()


def worker() -> Application:
    """The application of one of several worker processes."""
    source = Path(os.environ[CONFIG_VARIABLE])
    app = application(read(source, os.environ), source=source, counted_in=Path(os.environ[COUNTED_VARIABLE]))
    settle_memory()
    return app


def probe(listening: socket.socket) -> None:
    """Has the kernel ask silent clients of this socket whether they are still there."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in PROBES:
        listening.setsockopt(socket.IPPROTO_TCP, option, value)


def settle_memory() -> None:
    """What has been loaded is there to stay, and what a query makes has no cycles: look for garbage seldom.

    What is left from loading is a few thousand small objects: to collect them first takes a tenth of a second.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GARBAGE)


def server_config(
    app: Application | str, settings: Settings, host: str, port: int, *, workers: int = 1
) -> uvicorn.Config:
    """How the gateway is run."""
    return uvicorn_config(app, host, port, drain_s=settings.server.drain_s, workers=workers)


def uvicorn_config(app: ASGIApp | str, host: str, port: int, *, drain_s: float, workers: int = 1) -> uvicorn.Config:
    """How an application is run: no access log, no server header, answers finish within the drain time."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        workers=workers,
        factory=isinstance(app, str),
        http=Connection,
        proxy_headers=False,
        access_log=False,
        date_header=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(drain_s),
    )


def serve_predictor(app: ASGIApp, *, host: str, port: int, drain_s: float) -> None:
    """Serves a predictor service until it is told to stop."""
    settle_memory()
    Server(uvicorn_config(app, host, port, drain_s=drain_s)).run()
