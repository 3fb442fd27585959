"""Usual names of models: provider, case, punctuation, dates and words such as "instruct" do not tell models apart."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECES = re.compile(r"[a-z]+|\d+")
_DATE = re.compile(r"20\d\d[-_.]?[01]\d[-_.]?[0-3]\d")
_SHORT_DATE = re.compile(r"(?<=[-_@])(?:0[1-9]|1[0-2]|2[3-9])\d\d(?=$|[-_])")  # as in -1106 and -2407
_REVISION = re.compile(r"[-_](?:v0\.?\d+|0\d\d)$")  # as in -v0.2, -v01 and -002
_FILLERS = frozenset({"instruct", "chat", "it", "hf", "meta", "preview", "latest", "open", "ai"})
_VENDOR = re.compile(r"^c4ai[-_]")


def resolve(name: str, known: Sequence[str]) -> str | None:
    """The known model that a name means, or None. The strictest reading that fits wins; among dates, the latest."""
    for reading in (str, str.lower, _squashed, usual, family):
        matches = [other for other in known if reading(other) == reading(name)]
        if matches:
            return max(matches, key=_edition)
    return None


def nearest(name: str, known: Sequence[str], count: int = 3) -> list[str]:
    """The known names that look most alike, for an error message."""
    squashed = {_squashed(other): other for other in known}
    return [squashed[each] for each in difflib.get_close_matches(_squashed(name), squashed, count, cutoff=0.4)]


def usual(name: str) -> str:
    """The name without provider, case, punctuation and filler words: "llama-3-1-70-b". Editions stay apart."""
    pieces = _PIECES.findall(_VENDOR.sub("", _bare(name)))
    return "-".join([piece for piece in pieces if piece not in _FILLERS] or pieces)


def family(name: str) -> str:
    """As `usual`, and without dates and revisions: every edition of a model has the same."""
    bare = _SHORT_DATE.sub("", _DATE.sub("", _bare(name)))
    return usual(_REVISION.sub("", bare.strip("-_@.")))


def aliases(known: Sequence[str]) -> dict[str, str]:
    """Usual names that are not themselves known, and the model that each means."""
    readings = [reading(name) for name in known for reading in (usual, family)]
    found = {reading: resolve(reading, known) for reading in readings if reading not in known}
    return {alias: name for alias, name in found.items() if name is not None}


def _bare(name: str) -> str:
    return name.strip().lower().rsplit("/", 1)[-1].removesuffix(":free").replace(":", "-")


def _squashed(name: str) -> str:
    return "-".join(_PIECES.findall(_bare(name)))


def _edition(name: str) -> tuple[str, str]:
    """Sorts editions of one model, the oldest first."""
    dates = _DATE.findall(_bare(name)) + ["20" + short for short in _SHORT_DATE.findall(_bare(name))]
    return max(dates, default=""), _bare(name)
