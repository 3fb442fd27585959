"""Models in wide use that no bundled history knows, and the known one that each is most like."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from predictors.names import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

# Our own reading of the models' published results on mathematics and knowledge questions, 2025-06. An operator who has
# outcomes of these models trains on them, and this table is not looked at.
STAND_INS = MappingProxyType(
    {
        "gpt-4o-mini": "Llama-3.1-70B",
        "gpt-4.1": "claude-3-5-sonnet-20240620",
        "gpt-4.1-mini": "gpt-4o-2024-08-06",
        "gpt-4.1-nano": "gemma-2-27b",
    }
)


def stand_in(name: str, known: Sequence[str]) -> str | None:
    """The known model that stands in for one that is not; None where nobody does."""
    meant = resolve(name, list(STAND_INS))
    return resolve(STAND_INS[meant], known) if meant is not None else None
