"""The cells of several processes: each adds to a file of its own, mapped into memory, and reads those of the others."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from mmap import mmap
from operator import add
from typing import TYPE_CHECKING, Final

import msgspec
from prometheus_client import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableSequence
    from pathlib import Path

    from prometheus_client import Metric

    Labels = tuple[str, ...]

CELL: Final = 8  # bytes: a double, which is read and written whole where it is aligned
STARTED: Final = "process_start_time_seconds"
MOST_CELLS: Final = 2**21  # the file has holes: what is not used takes no room


class Series(msgspec.Struct, array_like=True):
    """A line of the list of names."""

    name: str
    labels: tuple[str, ...]
    at: int
    cells: int


LINE: Final = msgspec.json.Decoder(Series)


@dataclass
class Other:
    """Another process, or one that has ended."""

    alive: bool
    series: dict[str, dict[Labels, list[float]]] = field(default_factory=dict)


class Shared:
    """One process's cells in a folder of many.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        taken = (folder / f"{os.getpid()}-{number}.cells" for number in count())
        self._path = next(path for path in taken if not path.exists())
        self._names = self._path.with_suffix(".names")
        self._names.touch()  # first: the others look for cells
        with self._path.open("wb+") as file:
            file.truncate(MOST_CELLS * CELL)
            self.values: MutableSequence[float] = memoryview(mmap(file.fileno(), 0)).cast("d")  # type: ignore[assignment] # it has all of one that is used

    def name(self, name: str, labels: Labels, at: int, cells: int) -> None:
        """Tells the others what begins there. One write, so that none of them sees half a line."""
        if at + cells > MOST_CELLS:
            raise MemoryError(f"more than {MOST_CELLS} numbers to count")
        with self._names.open("ab", buffering=0) as names:
            names.write(msgspec.json.encode(Series(name, labels, at, cells)) + b"\n")

    def others(self) -> list[Other]:
        """As they are now."""
        return [_read(path) for path in sorted(self._folder.glob("*.cells")) if path != self._path]

    def collect(self) -> Iterable[Metric]:
        """What the operating system says of all processes that live, for a `CollectorRegistry`."""
        lives = {process for path in self._folder.glob("*.cells") if _lives(process := _process(path))}
        sums: dict[str, Metric] = {}
        for process in sorted(lives):
            for metric in ProcessCollector(pid=partial(int, process), registry=None).collect():
                [sample] = metric.samples
                if (sum_ := sums.setdefault(metric.name, metric)) is not metric:
                    [known] = sum_.samples
                    merge = min if metric.name == STARTED else add
                    sum_.samples = [known._replace(value=merge(known.value, sample.value))]
        return list(sums.values())


def _process(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _read(path: Path) -> Other:
    lines = [LINE.decode(line) for line in path.with_suffix(".names").read_bytes().splitlines()]
    used = max((line.at + line.cells for line in lines), default=0)
    with path.open("rb") as file:
        cells = array("d", file.read(used * CELL))
    other = Other(_lives(_process(path)))
    for line in lines:
        other.series.setdefault(line.name, {})[line.labels] = cells[line.at : line.at + line.cells].tolist()
    return other


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
