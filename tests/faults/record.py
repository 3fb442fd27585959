"""What the rows of the matrix found, kept for the table of docs/faults.md."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

TARGET = "FAULTS_JSON"  # the variable that says where to write


@dataclass(frozen=True)
class Found:
    """One row: what was seen while the fault lasted, and how long it took to be well again."""

    group: str
    fault: str
    phase: str
    saw: str  # by the client, with nobody else to answer
    beside: str = "-"  # where another endpoint could answer
    lost: str = "nothing"
    leases: int = 0  # held once it was over
    recovered_s: float | None = None  # from the end of the fault to the first answer from where it was


@dataclass
class Record:
    """All rows of one run."""

    rows: list[Found] = field(default_factory=list)

    def add(self, row: Found) -> None:
        self.rows.append(row)

    def write(self) -> None:
        """Where the environment says; nowhere when it says nothing."""
        target = os.environ.get(TARGET)
        if target:
            Path(target).write_text(json.dumps([asdict(row) for row in self.rows], indent=1), encoding="utf-8")
