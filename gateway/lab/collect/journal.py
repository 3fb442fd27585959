"""What has come back so far, a line for each answer: a run that was killed goes on from here."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

SUFFIX: Final = ".journal"


class JournalError(ValueError):
    """A journal that cannot be gone on with. The message says why, and the mend."""


@dataclass(frozen=True, slots=True)
class Record:
    """One model's answer to one question, or why there is none."""

    mark: str  # of the question
    model: str
    score: float | None = None  # None: not answered, or not judged
    grader: str = ""  # the mark of the one that gave the score
    error: str = ""  # "" when it was answered
    text: str = ""  # of the answer
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    estimated: bool = False  # the endpoint told no usage: tokens were counted by characters
    paid_usd: float = 0.0  # for this line: the answer, or its judging, or both


Records = dict[tuple[str, str], Record]
NAMES: Final = frozenset(field.name for field in fields(Record))


def journal_of(out: Path) -> Path:
    """The journal beside a pool that is being collected."""
    return out.with_name(out.name + SUFFIX)


class Journal:
    """An open journal: the newest record of each question and model, and what all of them cost."""

    def __init__(self, file: TextIO, records: Records, spent_usd: float) -> None:
        self._file = file
        self.records = records
        self.spent_usd = spent_usd

    def add(self, record: Record) -> None:
        """Written at once: a process that is killed loses only what was in flight."""
        self.records[record.mark, record.model] = record
        self._file.write(json.dumps(asdict(record), ensure_ascii=True) + "\n")
        self._file.flush()


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """Reads what is there and keeps others out until the block ends.

    Raises:
        JournalError: another run writes it, it cannot be written, or a line of it is no record.
    """
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"{path}: cannot be written: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(f"{path}: another run is collecting into it") from error
        file.seek(0)
        text = file.read()
        lines = text.split("\n")
        if lines[-1]:  # the run was killed in the middle of this line
            file.truncate(len(text.encode()) - len(lines[-1].encode()))
        records: Records = {}
        spent = 0.0
        for place, line in enumerate(lines[:-1], start=1):
            record = _record(path, place, line)
            records[record.mark, record.model] = record
            spent += record.paid_usd
        yield Journal(file, records, spent)


def _record(path: Path, place: int, line: str) -> Record:
    try:
        told = json.loads(line)
        return Record(**{name: value for name, value in told.items() if name in NAMES})
    except (ValueError, TypeError, AttributeError) as error:
        raise JournalError(f"{path}: line {place} is no record; remove the file to begin anew") from error
