"""Any server with OpenAI's `/v1/embeddings`: vLLM, text-embeddings-inference, a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

import httpx
import numpy as np

from predictors.encoder import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CHARACTERS = 8_000  # about 2,000 tokens: what most embedding models take
AT_ONCE = 64  # texts in one request
TIMEOUT_S = 5.0
ATTEMPTS = 2
AGAIN = frozenset({408, 409, 429})  # and 500 and above
OK = 200
# whose vectors tell a model from others; servers differ in the last digits
PROBES = ("What is 7 plus 5?", "Translate to French: the sea is calm.", "def area(r): return 3.14159 * r * r")
ALIKE = 0.999  # cosine
EXAMPLE = "remote:http://127.0.0.1:8080/v1#MODEL"


class RemoteEmbedder:
    """A server and the model that it is asked for.

    Args:
        place: the server's URL up to /v1, with the model's name after a `#`.
        key: sent as a bearer token; never shown.

    Raises:
        EncoderError: the place is none.
    """

    name = "remote"
    limit = CHARACTERS

    def __init__(self, place: str, key: str = "", timeout_s: float = TIMEOUT_S) -> None:
        url, self._model = urldefrag(place)
        if not url.startswith(("http://", "https://")) or not self._model or "@" in url:
            raise EncoderError(f"remote: name the server and its model, as in {EXAMPLE}; a key is given apart")
        self._url = url.rstrip("/") + "/embeddings"
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, trust_env=False)
        self._expected: Floats | None = None
        self._seen: Floats | None = None

    def embed(self, texts: Sequence[str]) -> Floats:
        """(Q, D) unit vectors. The first call also asks for PROBES, to see whether the model is the expected one."""
        width = self.fingerprint().shape[1]
        parts = [np.zeros((0, width), np.float32)]
        parts += [self._ask(texts[start : start + AT_ONCE]) for start in range(0, len(texts), AT_ONCE)]
        if any(part.shape[1] != width for part in parts):
            raise EncoderError(f"{self._url}: vectors of different lengths")
        return np.concatenate(parts)

    def fingerprint(self) -> Floats:
        """(P, D) what the server makes of PROBES."""
        if self._seen is None:
            seen = self._ask(PROBES)
            expected = self._expected
            if expected is not None and (
                expected.shape != seen.shape or (np.einsum("pd,pd->p", seen, expected) < ALIKE).any()
            ):
                raise EncoderError(
                    f"{self._url}: {self._model} is not the model that the artifact was made with; "
                    "name that one (predictor.encoder in the configuration), or train the artifact again"
                )
            self._seen = seen
        return self._seen

    def expect(self, fingerprint: NDArray[np.generic]) -> None:
        """Is looked at when the server is first asked: it need not be there when an artifact is loaded."""
        self._expected = fingerprint.astype(np.float32)
        self._seen = None

    def _ask(self, texts: Sequence[str]) -> Floats:
        plain = [text.encode("utf-8", "replace").decode() or " " for text in texts]  # servers refuse empty texts
        answer = self._posted({"model": self._model, "input": plain, "encoding_format": "float"})
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(f"{self._url}: no embeddings in the answer ({type(error).__name__}: {error})") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():  # noqa: PLR2004 - rows, columns
            raise EncoderError(f"{self._url}: {len(texts)} texts gave an array of {vectors.shape}")
        unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return unit.astype(np.float32)

    def _posted(self, body: dict[str, object]) -> Any:  # noqa: ANN401 - somebody else's JSON
        """The answer as JSON; a server that is busy or broken is asked once more."""
        said = ""
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.post(self._url, json=body)
            except httpx.HTTPError as error:
                said = f"no answer ({type(error).__name__}: {error})"
                continue
            if answer.status_code == OK:
                try:
                    return answer.json()
                except ValueError as error:
                    raise EncoderError(f"{self._url}: the answer is not JSON") from error
            said = f"{answer.status_code} {answer.text[:200]}"
            if answer.status_code not in AGAIN and answer.status_code < 500:  # noqa: PLR2004 - the server's own failures
                break
        raise EncoderError(f"{self._url}: {said}")
