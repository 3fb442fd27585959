"""Where a predictor comes from: the bundled artifact or a folder. Imports what is asked for, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predictors.artifact import Artifact
    from predictors.base import Predictor

STARTER = "starter"
KINDS = ("hybrid", "retrieval", "trained")


def load_artifact(name: str | Path, encoder_at: str = "", encoder_key: str = "") -> Artifact:
    """The artifact called "starter", which is bundled, or the one in a folder.

    Args:
        name: of the artifact.
        encoder_at: as `predictors.artifact.load` takes it.
        encoder_key: likewise.

    Raises:
        ArtifactError: it is missing, damaged, of a newer format or of an encoder that is not here.
    """
    from predictors.artifact import load  # noqa: PLC0415 - what asks for no artifact loads none of its parts

    return load(starter_folder() if str(name) == STARTER else Path(name), encoder_at, encoder_key)


def load_predictor(name: str | Path) -> Predictor:
    """As `load_artifact`: its predictor alone."""
    return load_artifact(name).predictor


def starter_folder() -> Path:
    """Where the bundled artifact lies."""
    return Path(__file__).parent / STARTER
