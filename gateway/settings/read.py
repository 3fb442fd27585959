"""From YAML to Settings, with one error that names the place and the mend."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from gateway.errors import ConfigurationError
from gateway.settings.schema import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def read(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings in a file.

    Raises:
        ConfigurationError: the file is missing, no YAML, or says something that is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from error
    return parse(text, env, source=str(path))


def parse(text: str, env: Mapping[str, str], *, source: str = "configuration") -> Settings:
    """The settings in a text. `${NAME}` and `${NAME:-default}` are taken from `env`, inside values only.

    Raises:
        ConfigurationError: as `read`.
    """
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError(f"{source}: {place}not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{source}: a configuration is a mapping with version, models and endpoints")
    return from_tree(tree, env, source=source)


def from_tree(tree: dict[str, object], env: Mapping[str, str], *, source: str) -> Settings:
    """The settings in a mapping that was read or found.

    Raises:
        ConfigurationError: as `read`.
    """
    try:
        return Settings.model_validate(_substitute(tree, env, source, ""))
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{source}: {_sentence(each)}" for each in error.errors())) from None


def _substitute(node: object, env: Mapping[str, str], source: str, place: str) -> object:
    if isinstance(node, dict):
        return {key: _substitute(value, env, source, f"{place}.{key}".lstrip(".")) for key, value in node.items()}
    if isinstance(node, list):
        return [_substitute(value, env, source, f"{place}[{index}]") for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name in env:
            return env[name]
        if default is None:
            raise ConfigurationError(
                f"{source}: {place}: the environment has no {name}; set it, or write ${{{name}:-default}}"
            )
        return default

    return VARIABLE.sub(value_of, node)


def _sentence(error: ErrorDetails) -> str:
    """One problem in words. The value itself is never shown: it may be a secret."""
    path = tuple(part for part in error["loc"] if part not in ("tuple", "function-after"))
    place = _place(path)
    if error["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        near = get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{place}: unknown key; {mend}"
    if error["type"] == "missing" and path[-1] == "price":
        return f"{place}: missing; a model needs a price (a local one: {{input: 0, output: 0}}), unknown is not free"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message[0].lower()}{message[1:]}" if place else message


def _place(path: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")


def _keys_at(path: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_of(section.model_fields[part].annotation) or section
    return list(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation may stand in a schema
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_of, get_args(annotation))), None)
