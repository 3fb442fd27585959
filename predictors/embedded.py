"""Encoders on top of sentence embeddings: the vector of the text, beside the prompt's structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from predictors.embeddings import Embeddings
from predictors.encoder import EncoderError, Features
from predictors.hybrid import Hybrid
from predictors.structure import FEATURES, structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from predictors.base import Predictor, Prompt
    from predictors.encoder import Reading

    Floats = NDArray[np.float32]
    Fingerprint = NDArray[np.generic]

SCALE = 0.5  # standard deviation of an input, as the other encoders'
CLIP = 4.0  # standard deviations
LEAST_SPREAD = 1e-3
GAP = "\n[…]\n"


class Embedder(Protocol):
    """Makes unit vectors of texts."""

    @property
    def name(self) -> str:
        """Its engine."""

    @property
    def limit(self) -> int:
        """Characters that it is given of a text; head and tail are kept."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """(Q, D) unit vectors.

        Raises:
            EncoderError: it cannot, or is not the one that `expect` was told of.
        """

    def fingerprint(self) -> Fingerprint:
        """What tells its weights from others."""

    def expect(self, fingerprint: Fingerprint) -> None:
        """From now on it must be the one with this fingerprint.

        Raises:
            EncoderError: it is known not to be.
        """


class Source:
    """An embedder and the embeddings that it has made."""

    def __init__(self, embedder: Embedder, kept: Embeddings | None = None) -> None:
        self.embedder = embedder
        self.kept = kept or Embeddings()

    def vectors(self, prompts: Sequence[Prompt]) -> Floats:
        """(Q, D) unit vectors of the prompts' texts; tools are left to the structure."""
        texts = [ends(prompt.text, self.embedder.limit) for prompt in prompts]
        if not texts:
            return self.embedder.embed([])
        return np.stack(self.kept.get(texts, self.embedder.embed)).astype(np.float32)


def ends(text: str, limit: int) -> str:
    """At most `limit` characters, head and tail."""
    if len(text) <= limit:
        return text
    half = (limit - len(GAP)) // 2
    return text[:half] + GAP + text[-half:]


@dataclass(frozen=True, slots=True)
class EmbeddedReading:
    """Q prompts: (Q, D) unit vectors and (Q, FEATURES) structure."""

    vectors: Floats
    shape: Floats

    def rows(self, index: NDArray[np.int64]) -> EmbeddedReading:
        """Those prompts alone."""
        return EmbeddedReading(self.vectors[index], self.shape[index])


@dataclass(frozen=True, slots=True)
class Embedded:
    """An encoder of D dimensions.

    Args:
        source: of the vectors.
        centre, spread: (D + FEATURES,) float32, of vectors and structure over the training texts.
    """

    source: Source
    centre: Floats
    spread: Floats

    @property
    def name(self) -> str:
        """Its engine."""
        return self.source.embedder.name

    @property
    def light(self) -> bool:
        """A model is asked."""
        return False

    def encode(self, prompts: Sequence[Prompt]) -> Features:
        """Features of any prompts."""
        return self.project(EmbeddedReading(self.source.vectors(prompts), structure(prompts)))

    def project(self, reading: EmbeddedReading) -> Features:
        """Features of prompts that are read."""
        raw = np.concatenate([reading.vectors, reading.shape], axis=1)
        standard = np.clip((raw - self.centre) / self.spread, -CLIP, CLIP)
        nothing = np.zeros((len(reading.vectors), 0), np.float32)  # what an embedding tells, its neighbours tell
        return Features((standard * np.float32(SCALE)).astype(np.float32), reading.vectors, nothing)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """All that `restore` needs."""
        return {
            "centre": self.centre,
            "spread": self.spread,
            "fingerprint": self.source.embedder.fingerprint(),
        }


class EmbeddedEngine:
    """Reads, fits and restores encoders on one source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, prompts: Sequence[Prompt]) -> EmbeddedReading:
        """Embeds every prompt once."""
        return EmbeddedReading(self._source.vectors(prompts), structure(prompts))

    def fit(self, reading: Reading, seed: int) -> Embedded:  # noqa: ARG002 - nothing is drawn
        """Learns where the numbers lie and how far they spread. Any number of prompts, also none."""
        assert isinstance(reading, EmbeddedReading)  # noqa: S101 - narrows the type; engines read for themselves
        raw = np.concatenate([reading.vectors, reading.shape], axis=1)
        some = bool(len(raw))
        centre = raw.mean(axis=0) if some else np.zeros(raw.shape[1])
        spread = np.maximum(raw.std(axis=0), LEAST_SPREAD) if some else np.ones(raw.shape[1])
        return Embedded(self._source, centre.astype(np.float32), spread.astype(np.float32))

    def project(self, encoder: object, reading: Reading) -> Features:
        """What the encoder makes of prompts that are read already."""
        assert isinstance(encoder, Embedded)  # noqa: S101 - as above
        assert isinstance(reading, EmbeddedReading)  # noqa: S101 - as above
        return encoder.project(reading)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> Embedded:
        """The encoder that gave these arrays, if this source is the one that it was fitted with.

        Raises:
            EncoderError: arrays are missing, or these are other weights.
        """
        try:
            centre, spread = (arrays[name].astype(np.float32) for name in ("centre", "spread"))
            fingerprint = arrays["fingerprint"]
        except KeyError as error:
            raise EncoderError(f"the {self._source.embedder.name} encoder lacks its array {error}") from error
        if centre.shape != spread.shape or centre.size <= FEATURES:
            raise EncoderError("the encoder was fitted by another version; train the artifact again")
        self._source.embedder.expect(fingerprint)
        return Embedded(self._source, centre, spread)


def embedded(predictor: Predictor) -> tuple[int, int]:
    """How many embeddings a predictor's encoder found in its cache, and how many it made. Others make none."""
    encoder = predictor.parts.encoder if isinstance(predictor, Hybrid) else None
    return (encoder.source.kept.hits, encoder.source.kept.misses) if isinstance(encoder, Embedded) else (0, 0)
