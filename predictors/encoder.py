"""From prompts to numbers. An encoder is fitted on texts alone, never on outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from predictors.base import Prompt
    from predictors.embedded import Embedder

    Floats = NDArray[np.float32]

ENGINES = ("lexical", "minilm-onnx", "minilm", "remote")


class EncoderError(ValueError):
    """An encoder that is not there. The message says what to install or to name instead."""


@dataclass(frozen=True, slots=True)
class Features:
    """Q encoded prompts.

    Args:
        inputs: (Q, F) float32, what the trained parts read; about unit scale.
        vectors: (Q, D) float32 unit vectors for retrieval.
        signals: (Q, S) float32, how much of the prompt the encoder knows, 0..1 each; more is nearer to its texts.
    """

    inputs: Floats
    vectors: Floats
    signals: Floats

    def rows(self, index: NDArray[np.int64]) -> Features:
        """Those prompts alone."""
        return Features(self.inputs[index], self.vectors[index], self.signals[index])


class Reading(Protocol):
    """Prompts read once, before anything is fitted: folds of one history share it."""

    def rows(self, index: NDArray[np.int64]) -> Reading:
        """Those prompts alone."""


class Encoder(Protocol):
    """Encodes prompts. Deterministic; keeps none of them."""

    @property
    def name(self) -> str:
        """Its engine, one of ENGINES."""

    @property
    def light(self) -> bool:
        """Whether a short prompt takes it less than a millisecond: it counts, and asks no model."""

    def encode(self, prompts: Sequence[Prompt]) -> Features:
        """Features of any prompts: empty, long, binary, of any language."""

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """All that `restore` needs."""


class Engine(Protocol):
    """A kind of encoder."""

    def read(self, prompts: Sequence[Prompt]) -> Reading:
        """The costly half of encoding, which needs no fit."""

    def fit(self, reading: Reading, seed: int) -> Encoder:
        """An encoder fitted on these prompts."""

    def project(self, encoder: Encoder, reading: Reading) -> Features:
        """What the encoder makes of prompts that are read already; the same as `encode`."""

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> Encoder:
        """The encoder that gave these arrays.

        Raises:
            EncoderError: arrays are missing or of the wrong shape.
        """


def engine(spec: str, key: str = "") -> Engine:
    """The named engine.

    Args:
        spec: one of ENGINES, and after a colon where its model is: a folder, or a server's URL. Without a place an
            installed package is looked for.
        key: for a server that wants one.

    Raises:
        EncoderError: there is none of that name, or its package or model is missing.
    """
    name, _, place = spec.partition(":")
    if name == "lexical":
        from predictors.lexical import LexicalEngine  # noqa: PLC0415 - one engine is loaded, not all

        return LexicalEngine()
    if name in ENGINES:
        from predictors.embedded import EmbeddedEngine, Source  # noqa: PLC0415 - as above

        return EmbeddedEngine(Source(_embedder(name, place, key)))
    raise EncoderError(f"encoder {name!r} is not known; there are: {', '.join(ENGINES)}")


def at(spec: str, place: str, folder: Path) -> str:
    """The same engine elsewhere; where it was if no place is named. One that begins with ./ is beside the artifact."""
    name, _, before = spec.partition(":")
    now = place or (str(folder / before) if before.startswith("./") else before)
    return f"{name}:{now}" if now else name


def _embedder(name: str, place: str, key: str) -> Embedder:
    if name == "minilm-onnx":
        from predictors.minilm_onnx import OnnxEmbedder  # noqa: PLC0415 - one is loaded, not all

        return OnnxEmbedder(place)
    if name == "minilm":
        from predictors.minilm import SentenceEmbedder  # noqa: PLC0415 - as above

        return SentenceEmbedder(place)
    from predictors.remote import RemoteEmbedder  # noqa: PLC0415 - as above

    return RemoteEmbedder(place, key)
