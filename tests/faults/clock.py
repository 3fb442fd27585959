"""A wall clock of a program's own, that can be put forward and back while it runs. clock.c is what it sees."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

HOUR_S = 3600


class Clock:
    """Built in a folder. Skips the test on a machine that has no C compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler (cc), and a clock that jumps has to be compiled")
        library, self._offset = folder / "clock.so", folder / "offset"
        self._offset.write_bytes(struct.pack("q", 0))
        source = Path(__file__).with_name("clock.c")
        command = [compiler, "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        self.env = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._offset)}  # of the program

    def put(self, seconds: int) -> None:
        """So many seconds after the real time from now on, all at once."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("q", seconds))
