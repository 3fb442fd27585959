"""A real PostgreSQL of one test session's own, on a free port of this machine, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian keeps them out of PATH
INITDB = shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *map(str, DEBIAN)]))
QUICK = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]  # nothing here must survive


@contextmanager
def postgres() -> Iterator[str]:
    """Runs one until the block ends; gives SQLAlchemy's URL of an empty database."""
    assert INITDB is not None
    programs, port = Path(INITDB).parent, free_port()
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with TemporaryDirectory(prefix="paretogate-postgres-") as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        made = [*as_user, INITDB, "--pgdata", data, "--auth", "trust", "--username", "tester", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True)
        where = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        server = [*as_user, str(programs / "pg_ctl"), "--pgdata", data]
        options = " ".join([*where, *QUICK])
        started = [*server, "--wait", "--log", f"{folder}/log", "--options", options, "start"]
        subprocess.run(started, check=True, stdout=subprocess.DEVNULL)
        try:
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*server, "--mode", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
