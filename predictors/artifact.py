"""A trained predictor as a folder: manifest.json and arrays as .npy. No pickle, nothing that runs when it is read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.amounts import Amounts
from predictors.base import HeldOut, Predictor
from predictors.encoder import ENGINES, EncoderError, at, engine
from predictors.gate import Gate
from predictors.hybrid import Hybrid
from predictors.network import Network
from predictors.parts import Parts
from predictors.retrieval import Memory, Retrieval
from predictors.stack import Stack
from predictors.tasks import Tasks
from predictors.territory import Territory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from predictors.encoder import Engine

    Array = NDArray[np.generic]

FORMAT = 3
MANIFEST = "manifest.json"
_SECTIONS = {
    "network": Network,
    "tasks": Tasks,
    "inputs": Territory,
    "hidden": Territory,
    "memory": Memory,
    "tokens": Amounts,
    "cost": Amounts,
    "gate": Gate,
}


class ArtifactError(ValueError):
    """An artifact that cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an artifact says of itself.

    Args:
        format: version of the folder's layout.
        predictor: hybrid, retrieval or trained.
        models: names, in column order.
        aliases: usual name -> model, for names that are not models themselves.
        encoder: its engine, and after a colon where training found its model; ./ is the artifact's own folder.
        encoder_hash: of the encoder's arrays.
        training: fingerprint of the texts and scores, queries, pools as (file name, rows).
        command: the command line that made it.
        cell_size: the fewest queries behind anything that is stored; 1 where queries are kept singly.
        metrics: on held-out queries: auc, calibration_error, brier.
        files: file name -> SHA-256.
    """

    predictor: str
    models: tuple[str, ...]
    aliases: Mapping[str, str]
    encoder: str
    encoder_hash: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    seed: int = 0
    cell_size: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Artifact:
    """A predictor, what it was worth on queries it had not seen, and sorted uint64 hashes of its training texts."""

    predictor: Predictor
    held_out: HeldOut
    manifest: Manifest
    text_hashes: NDArray[np.uint64]


def save(artifact: Artifact, folder: Path) -> None:
    """Writes the folder; what an earlier artifact left there is replaced, the manifest last.

    Raises:
        ArtifactError: the predictor is not one that `train` makes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {}
    for name, array in sorted(_arrays(artifact)):
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files[path.name] = _digest(path)
    for stale in folder.glob("*.npy"):
        if stale.name not in files:
            stale.unlink()
    encoder = "".join(digest for name, digest in files.items() if name.startswith("encoder."))
    manifest = asdict(artifact.manifest) | {
        "files": files,
        "encoder_hash": hashlib.sha256(encoder.encode()).hexdigest(),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def load(folder: Path, encoder_at: str = "", encoder_key: str = "") -> Artifact:
    """Reads a folder that `save` wrote.

    Args:
        folder: of the artifact.
        encoder_at: where its encoder's model is now, if not where training found it: a folder, or a server's URL.
        encoder_key: for a server that wants one.

    Raises:
        ArtifactError: it is missing, damaged, of a newer format or of an encoder that is not here.
    """
    manifest = _manifest(folder)
    manifest = replace(manifest, encoder=at(manifest.encoder, encoder_at, folder))
    arrays = {name.removesuffix(".npy"): _array(folder / name, digest) for name, digest in manifest.files.items()}
    try:
        return _assemble(manifest, arrays, engine(manifest.encoder, encoder_key))
    except EncoderError as error:
        raise ArtifactError(f"{folder}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder}: the arrays do not fit together ({error}); train it again") from error


def _arrays(artifact: Artifact) -> Iterator[tuple[str, Array]]:
    predictor = artifact.predictor
    if not isinstance(predictor, Hybrid):
        raise ArtifactError(f"a {type(predictor).__name__} is not kept in artifacts; save what `train` returns")
    parts = predictor.parts
    sections: dict[str, Any] = {
        "network": parts.network,
        "tasks": parts.tasks,
        "inputs": parts.inputs,
        "hidden": parts.hidden,
        "memory": parts.retrieval.memory,
        "tokens": parts.tokens,
        "cost": parts.cost,
        "stack": predictor.stack,
        "gate": predictor.stack.gate,
        "held_out": artifact.held_out,
    }
    for section, value in sections.items():
        for each in fields(value):
            if each.init and each.name != "gate":  # a section of its own
                yield f"{section}.{each.name}", getattr(value, each.name)
    for name, array in parts.encoder.arrays().items():
        yield f"encoder.{name}", array
    yield "head", predictor.head
    yield "characters_per_token", predictor.ratio
    yield "text_hashes", artifact.text_hashes


def _assemble(manifest: Manifest, arrays: Mapping[str, Array], source: Engine) -> Artifact:
    def section(name: str, kind: type, **built: object) -> Any:  # noqa: ANN401 - one of the dataclasses above
        rest = {
            each.name: arrays[f"{name}.{each.name}"] for each in fields(kind) if each.init and each.name not in built
        }
        return kind(**rest, **built)

    built = {name: section(name, kind) for name, kind in _SECTIONS.items()}
    inside = {name.removeprefix("encoder."): array for name, array in arrays.items() if name.startswith("encoder.")}
    parts = Parts(
        encoder=source.restore(inside),
        network=built["network"],
        tasks=built["tasks"],
        inputs=built["inputs"],
        hidden=built["hidden"],
        retrieval=Retrieval(built["memory"]),
        tokens=built["tokens"],
        cost=built["cost"],
    )
    predictor = Hybrid(
        parts=parts,
        stack=section("stack", Stack, gate=built["gate"]),
        names=manifest.models,
        head=arrays["head"].astype(np.int64),
        ratio=arrays["characters_per_token"].astype(np.float32),
    )
    if len(predictor.head) != len(manifest.models):
        raise ValueError(f"{len(manifest.models)} models in the manifest, {len(predictor.head)} in the arrays")
    return Artifact(predictor, section("held_out", HeldOut), manifest, arrays["text_hashes"].astype(np.uint64))


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
    except FileNotFoundError as error:
        raise ArtifactError(f"{folder}: no artifact here (no {MANIFEST}); make one with `paretogate train`") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"{path}: not readable as a manifest ({error}); train it again or copy it anew") from error
    if version < FORMAT:
        raise ArtifactError(
            f"{folder}: format {version} is older than what this version reads ({FORMAT}); train it again"
        )
    if version > FORMAT:
        raise ArtifactError(
            f"{folder}: format {version} is newer than what this version reads ({FORMAT}); "
            "update paretogate or train it again"
        )
    if str(content.get("encoder")).partition(":")[0] not in ENGINES:
        raise ArtifactError(
            f"{folder}: made for the encoder {content.get('encoder')!r}, which this version does not have "
            f"({', '.join(ENGINES)}); train it again with --encoder"
        )
    try:
        known = {each.name for each in fields(Manifest)}
        values = {name: value for name, value in content.items() if name in known}
        return Manifest(**values | {"models": tuple(content["models"])})
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: a field is missing or odd ({error}); train it again") from error


def _array(path: Path, digest: str) -> Array:
    try:
        if _digest(path) != digest:
            raise ArtifactError(f"{path}: changed since it was written; copy the artifact anew or train it again")
        array: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path}: not readable ({error}); copy the artifact anew or train it again") from error
    return array


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
