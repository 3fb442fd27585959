"""What is believed of models that nobody configured: list prices, priors, and which model of the artifact is alike."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from predictors.names import resolve

PRIOR_STRENGTH = 20.0  # of queries: the configuration's own default
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*b\b", re.IGNORECASE)  # "70b", "3.2B": parameters in billions
FREE = {"input": 0.0, "output": 0.0}


@dataclass(frozen=True, slots=True)
class _Table:
    """`known_models.json`, by name."""

    openai: dict[str, dict[str, Any]]
    open: dict[str, dict[str, Any]]
    by_size: list[tuple[float, float]]  # billions of parameters up to which, mean success
    unknown: float


def openai_models() -> tuple[str, ...]:
    """OpenAI's models that have a known price."""
    return tuple(_table().openai)


def openai_model(name: str) -> dict[str, Any] | None:
    """A model of OpenAI in the configuration's shape; None where its price is not known."""
    entry = _table().openai.get(resolve(name, list(_table().openai)) or "")
    return None if entry is None else {**_described(name, entry), "price": entry["price"], "context": entry["context"]}


def local_model(name: str, *, size: str = "", context: int | None = None) -> dict[str, Any]:
    """A model that runs here, in the configuration's shape: it costs nothing.

    Args:
        name: as its server lists it.
        size: parameters as told by the server ("8.0B"), where the name does not say.
        context: tokens, where the server says.
    """
    table = _table()
    entry = table.open.get(resolve(name, list(table.open)) or "", {"quality": _by_size(f"{name} {size}")})
    room = {} if context is None else {"context": context}
    return {**_described(name, entry), "price": FREE, **room}


def _described(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    alike = {"like": entry["like"]} if "like" in entry else {}  # a bundled history knows it under that name
    return {"name": name, "prior": {"quality": entry["quality"], "strength": PRIOR_STRENGTH}, **alike}


def _by_size(text: str) -> float:
    table = _table()
    sizes = [float(each) for each in SIZE.findall(text)]
    if not sizes:
        return table.unknown
    return next(quality for limit, quality in table.by_size if max(sizes) <= limit or limit == table.by_size[-1][0])


@cache
def _table() -> _Table:
    text = (files("gateway.discovery") / "known_models.json").read_text(encoding="utf-8")
    content = json.loads(text)
    openai, open_ = ({name: entry for entry in content[part] for name in entry["names"]} for part in ("openai", "open"))
    priors = content["priors"]
    return _Table(
        openai, open_, [(size, quality) for size, quality in priors["by_billion_parameters"]], priors["unknown"]
    )
