"""Every file of config/ can be used as it is, and its schema is the one that the settings have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.configured import artifact_of, fleet_of
from gateway.estimator import columns_for
from gateway.settings import Settings, parse, read
from gateway.settings.export import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).parents[1] / "config"
FILES = sorted(CONFIG.glob("*.yaml"))
ALTERNATIVES = {"predictor.url", "routes[].objective.tradeoff"}  # gateway.yaml shows the others of their kind


def keys(node: object, path: str = "") -> Iterator[str]:
    """Every key of a file, with its place."""
    if isinstance(node, dict):
        for name, value in node.items():
            place = f"{path}.{name}".lstrip(".")
            yield place
            yield from keys(value, place)
    elif isinstance(node, list):
        for each in node:
            yield from keys(each, f"{path}[]")


def known_keys() -> set[str]:
    """Every key of the settings, with its place."""
    schema = Settings.model_json_schema()

    def below(node: dict[str, Any], path: str) -> Iterator[str]:
        for name, each in node.get("properties", {}).items():
            place = f"{path}.{name}".lstrip(".")
            yield place
            for kind in (each, each.get("items", {}), *each.get("anyOf", [])):
                if "$ref" in kind:
                    listed = "[]" if each.get("type") == "array" else ""
                    yield from below(schema["$defs"][kind["$ref"].rsplit("/", 1)[-1]], place + listed)

    return set(below(schema, ""))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_configuration_can_be_served_as_it_is(path: Path) -> None:
    settings = read(path, {})
    artifact = artifact_of(settings)
    fleet = fleet_of(settings)
    columns_for(fleet.models, artifact.predictor if artifact else None)
    assert all(fleet.candidates(route) for route in fleet.routes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schema_takes_it_with_its_variables_in_place(path: Path) -> None:
    Draft202012Validator(json_schema()).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_schema_is_current() -> None:
    shipped = json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))
    assert shipped == json_schema(), "run `make generated`"


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("window", {"max_wait": 10}),
        ("queue", {"max_size": "many"}),
        ("routes", [{"name": "auto", "objective": {"min_quality": 80}}]),
    ],
)
def test_the_schema_refuses_what_the_gateway_refuses(section: str, wrong: object) -> None:
    tree = yaml.safe_load((CONFIG / "gateway.yaml").read_text(encoding="utf-8"))
    assert not Draft202012Validator(json_schema()).is_valid(tree | {section: wrong})


def test_gateway_yaml_and_keys_yaml_show_every_key() -> None:
    files = [yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")) for name in ("gateway.yaml", "keys.yaml")]
    shown = {place for tree in files for place in keys(tree)}
    assert shown - known_keys() == set()
    assert known_keys() - shown == ALTERNATIVES


def test_gateway_yaml_shows_the_defaults() -> None:
    shown = read(CONFIG / "gateway.yaml", {})
    plain = parse(
        """
        version: 1
        models: [{name: m, price: {input: 0, output: 0}}]
        endpoints: [{name: e, model: m, url: "http://127.0.0.1:1"}]
        predictor: {artifact: starter}
        """,
        {},
    )
    for section in ("window", "queue", "predictor", "load", "server"):
        assert getattr(shown, section) == getattr(plain, section)
    assert shown.endpoints[0].timeout == plain.endpoints[0].timeout
    assert (shown.routes[0].risk, shown.routes[0].quality) == (plain.routes[0].risk, plain.routes[0].quality)
    assert shown.routes[0].usd_per_second == plain.routes[0].usd_per_second
