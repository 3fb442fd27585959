"""MiniLM, or another BERT-like sentence encoder, as ONNX: no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictors.encoder import EncoderError
from predictors.weights import check, digest, onnx_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TOKENS = 256  # what MiniLM was trained on; head and tail are kept of longer texts
CHARACTERS = 4_000  # enough for that many tokens of any text with spaces; what is cut first is the middle
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
AT_ONCE = 32  # texts of like length in one run: more gained nothing on a CPU


class OnnxEmbedder:
    """A model and its tokenizer.

    Args:
        place: the folder of both; "" takes the installed one.

    Raises:
        EncoderError: a file or a package is missing, or is not what it should be.
    """

    name = "minilm-onnx"
    limit = CHARACTERS

    def __init__(self, place: str = "") -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an artifact with another encoder does without
            from tokenizers import Tokenizer  # noqa: PLC0415 - as above
        except ImportError as error:
            raise EncoderError(f"{self.name}: {error}; pip install onnxruntime tokenizers") from error
        model, words = onnx_files(place)
        self._folder = model.parent
        self._fingerprint = digest([model, words])
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would eat the CPU
        try:
            providers = [each for each in PROVIDERS if each in onnxruntime.get_available_providers()]
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
            self._tokenizer = Tokenizer.from_file(str(words))
        except Exception as error:  # both libraries raise plain or private exceptions for a damaged file
            raise EncoderError(f"{self.name}: {model.parent} cannot be read: {error}") from error
        self._tokenizer.no_truncation()  # MiniLM's file pins both, at 128 tokens
        self._tokenizer.no_padding()
        self._wanted = [each.name for each in self._session.get_inputs()]
        self._width = int(self._session.get_outputs()[0].shape[-1])

    def embed(self, texts: Sequence[str]) -> Floats:
        """(Q, D) unit vectors: the mean over a text's tokens."""
        vectors = np.zeros((len(texts), self._width), np.float32)
        tokens = [_middle_out(each.ids) for each in self._tokenizer.encode_batch([*map(_plain, texts)])]
        order = sorted(range(len(texts)), key=lambda row: len(tokens[row]))
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            vectors[rows] = self._run([tokens[row] for row in rows])
        return vectors

    def fingerprint(self) -> NDArray[np.uint8]:
        """SHA-256 of model and tokenizer."""
        return self._fingerprint

    def expect(self, fingerprint: NDArray[np.generic]) -> None:
        """Raises EncoderError when these are other weights."""
        check(self.name, self._folder, self._fingerprint, fingerprint)

    def _run(self, tokens: Sequence[Sequence[int]]) -> Floats:
        longest = max(map(len, tokens))
        ids = np.array([[*each, *[0] * (longest - len(each))] for each in tokens], np.int64)
        mask = np.array([[1] * len(each) + [0] * (longest - len(each)) for each in tokens], np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: given[name] for name in self._wanted})[0]
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: Floats = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        return unit.astype(np.float32)


def _middle_out(ids: Sequence[int]) -> Sequence[int]:
    """At most TOKENS of them: the first and the last."""
    return ids if len(ids) <= TOKENS else [*ids[: TOKENS // 2], *ids[-TOKENS // 2 :]]


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
