"""What gateway and predictor service say to each other; docs/predictor-service.md is its description."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from gateway.predicting.arrays import ArraysError, pack, unpack
from predictors.base import QUANTILES, HeldOut, Prediction, Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PROTOCOL: Final = "1"  # another number is another language: neither side guesses
PREDICT: Final = "/v1/predict"
ARTIFACT: Final = "/v1/artifact"
JSON: Final = "application/json"
ARRAYS: Final = "application/vnd.paretogate.arrays"
DEADLINE: Final = "x-paretogate-deadline-ms"  # how long whoever asks will wait
PROMPTS: Final = 4096  # of one request
HELD_OUT: Final = "held_out."
PREDICTED: Final = ("quality", "quality_sd", "output_quantiles", "cost_usd")


class WireError(ValueError):
    """An answer or a question that cannot be used. The message says what was expected."""


class OtherArtifactError(WireError):
    """The service serves another artifact than the one that it described."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a service predicts for, and its artifact's held-out sample: numbers only.

    Args:
        artifact: tells artifacts apart; every prediction carries it.
        models: M names, the columns of every prediction.
        characters_per_token: (M,) fitted ratio.
        held_out: of those models.
    """

    artifact: str
    models: tuple[str, ...]
    characters_per_token: NDArray[np.float32]
    held_out: HeldOut


class _Prompt(msgspec.Struct):
    text: str
    tools: str = ""


class _Question(msgspec.Struct):
    prompts: list[_Prompt]


_READ_QUESTION = msgspec.json.Decoder(_Question)


def question(prompts: Sequence[Prompt]) -> bytes:
    """Prompts as JSON. Half a character of UTF-16, which JSON can name and UTF-8 cannot, becomes a question mark."""
    asked = [{"text": _plain(prompt.text), "tools": _plain(prompt.tools)} for prompt in prompts]
    return msgspec.json.encode({"prompts": asked})


def read_question(body: bytes) -> list[Prompt]:
    """The prompts of a request.

    Raises:
        WireError: it is no question, or asks nothing, or too much.
    """
    try:
        asked = _READ_QUESTION.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f'the body is to be {{"prompts": [{{"text": "…", "tools": "…"}}]}}: {error}') from error
    if not 0 < len(asked.prompts) <= PROMPTS:
        raise WireError(f"{len(asked.prompts)} prompts; one request has 1 to {PROMPTS}")
    return [Prompt(each.text, each.tools) for each in asked.prompts]


def answer(prediction: Prediction, artifact: str) -> bytes:
    """A prediction, with the artifact that made it."""
    arrays = {name: getattr(prediction, name) for name in PREDICTED}
    return pack(arrays, {"protocol": PROTOCOL, "artifact": artifact})


def read_answer(body: bytes, prompts: int, known: Description) -> Prediction:
    """The prediction for so many prompts by a service that has described itself.

    Raises:
        OtherArtifactError: it comes from another artifact, so its columns may be others.
        WireError: another protocol, a wrong shape, or something that is no estimate.
    """
    arrays, words = _unpacked(body)
    if words.get("artifact") != known.artifact:
        raise OtherArtifactError("the service has another artifact than it said")
    models = len(known.models)
    shapes = dict.fromkeys(PREDICTED, (prompts, models)) | {"output_quantiles": (prompts, models, QUANTILES)}
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "missing"
            raise WireError(f"{name} is to be {shape}, and is {found}")
    quality, sd, tokens, cost = (arrays[name] for name in PREDICTED)
    if not ((quality >= 0) & (quality <= 1)).all():  # false for what is no number
        raise WireError("quality is not 0 to 1 everywhere")
    if not ((sd >= 0) & np.isfinite(sd)).all():
        raise WireError("quality_sd is not 0 or more everywhere")
    if (tokens < 0).any() or np.isinf(tokens).any():
        raise WireError("output_quantiles has lengths that are none")
    return Prediction(
        quality=quality.astype(np.float32, copy=False),
        quality_sd=sd.astype(np.float32, copy=False),
        output_quantiles=tokens.astype(np.float32, copy=False),
        cost_usd=cost.astype(np.float64, copy=False),
    )


def describe(described: Description) -> bytes:
    """A description as bytes."""
    arrays: dict[str, NDArray[np.floating]] = {"characters_per_token": described.characters_per_token}
    arrays |= {HELD_OUT + each.name: getattr(described.held_out, each.name) for each in fields(HeldOut)}
    models = json.dumps(described.models, ensure_ascii=False)
    return pack(arrays, {"protocol": PROTOCOL, "artifact": described.artifact, "models": models})


def read_description(body: bytes) -> Description:
    """What a service says of itself.

    Raises:
        WireError: another protocol, or tables that do not fit together.
    """
    arrays, words = _unpacked(body)
    try:
        models = tuple(str(name) for name in json.loads(words["models"]))
        held_out = _held_out(arrays)
        ratio = arrays["characters_per_token"].astype(np.float32)
        artifact = words["artifact"]
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"the service's description lacks or garbles {error}") from error
    cells = held_out.weight.shape[:1]
    tables = [getattr(held_out, each.name) for each in fields(HeldOut) if each.name != "weight"]
    if len(set(models)) != len(models) or any(table.shape != (*cells, len(models)) for table in tables):
        raise WireError("the tables of the service's description do not fit its models")
    if ratio.shape != (len(models),) or not (held_out.weight > 0).all() or not np.isfinite(held_out.quality).all():
        raise WireError("the service's description holds numbers that are none")
    return Description(artifact, models, ratio, held_out)


def _held_out(arrays: Mapping[str, NDArray[np.floating]]) -> HeldOut:
    doubles = ("weight", "cost_usd", "realised_cost_usd")
    tables: dict[str, Any] = {
        each.name: arrays[HELD_OUT + each.name].astype(np.float64 if each.name in doubles else np.float32, copy=False)
        for each in fields(HeldOut)
    }
    return HeldOut(**tables)


def _unpacked(body: bytes) -> tuple[dict[str, NDArray[np.floating]], dict[str, str]]:
    try:
        arrays, words = unpack(body)
    except ArraysError as error:
        raise WireError(str(error)) from error
    if words.get("protocol") != PROTOCOL:
        raise WireError(
            f"the service speaks protocol {words.get('protocol')}, this gateway {PROTOCOL}; use one version"
        )
    return arrays, words


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
