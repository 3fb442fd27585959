"""A program that a test starts, waits for and stops."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PARETOGATE = str(Path(sys.executable).with_name("paretogate"))
PATIENCE_S = 60.0  # until a program must have ended once it was asked to
READY = re.compile(r"(?:ready|running) .*?(http://127\.0\.0\.1:\d+)")


class Program:
    """A running program and what it has said."""

    def __init__(self, process: subprocess.Popen[str], ready: re.Pattern[str]) -> None:
        self.process = process
        self.said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line)
            if found := ready.search(line):
                self.url = found[1] if found.groups() else ""
                break
        else:
            raise RuntimeError(f"it ended before it was ready:\n{self.text}")
        self._reader = Thread(target=self._read, daemon=True)  # a full pipe would stop the program
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self.said)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(self.process.stdout)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: re.Pattern[str] = READY,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Program]:
    """Runs a command from the line that says it is ready until the block ends. `url` is that line's first group."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        cwd=cwd,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            program = Program(process, ready)
            yield program
            program.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
