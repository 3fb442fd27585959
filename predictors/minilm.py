"""MiniLM, or another sentence-transformers model, in torch: on CUDA when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.encoder import EncoderError
from predictors.weights import check, digest, torch_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CHARACTERS = 1_000  # about MiniLM's 256 tokens of prose; its own limit would drop the tail
AT_ONCE = 256  # texts in one run on a GPU
FILES = ("config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json", "model.safetensors")


class SentenceEmbedder:
    """A folder that sentence-transformers reads.

    Args:
        place: the folder.

    Raises:
        EncoderError: torch, sentence-transformers or the folder is missing, or cannot be read.
    """

    name = "minilm"
    limit = CHARACTERS

    def __init__(self, place: str = "") -> None:
        folder = torch_folder(self.name, place)
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seven seconds and 440 MB
        except ImportError as error:
            raise EncoderError(f"{self.name}: {error}; pip install 'paretogate[gpu]'") from error
        self._folder = folder
        self._fingerprint = digest([path for name in FILES if (path := folder / name).is_file()])
        try:
            self._model = SentenceTransformer(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise EncoderError(f"{self.name}: {folder} cannot be read: {error}") from error

    def embed(self, texts: Sequence[str]) -> Floats:
        """(Q, D) unit vectors."""
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension()), np.float32)
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors = self._model.encode(
            plain, batch_size=AT_ONCE, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)

    def fingerprint(self) -> NDArray[np.uint8]:
        """SHA-256 of the folder's files."""
        return self._fingerprint

    def expect(self, fingerprint: NDArray[np.generic]) -> None:
        """Raises EncoderError when these are other weights."""
        check(self.name, self._folder, self._fingerprint, fingerprint)
