"""The configuration's JSON Schema and its reference in words, both made from the sections themselves.

`python -m gateway.settings.export SCHEMA REFERENCE` writes the schema, and the tables between two marks of the other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from gateway.settings.schema import Settings

Node = dict[str, Any]  # a JSON Schema, or a part of one

BEGIN: Final = "<!-- tables: written by `make generated` -->"
END: Final = "<!-- end of tables -->"
FROM_ENVIRONMENT: Final[Node] = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}


def json_schema() -> Node:
    """For editors and other programs. Every value that is no text may also stand in the environment."""
    schema = Settings.model_json_schema()
    for node in (schema, *schema["$defs"].values()):
        for name, each in node.get("properties", {}).items():
            node["properties"][name] = _or_environment(each)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def reference() -> str:
    """Every setting, section by section, as Markdown."""
    schema = Settings.model_json_schema()
    return "\n".join(_section("", schema, schema["$defs"]))


def _or_environment(node: Node) -> Node:
    kinds = node.get("anyOf", [node])
    if not any(kind.get("type") in {"number", "integer"} for kind in kinds):
        return node
    described: Node = {name: node[name] for name in ("default", "description", "title") if name in node}
    plain = [{key: value for key, value in kind.items() if key not in described} for kind in kinds]
    return {**described, "anyOf": [*plain, FROM_ENVIRONMENT]}


def _section(path: str, node: Node, known: Node) -> list[str]:
    """A heading, what the section is, its keys in a table, and then its own sections."""
    lines = [f"## {path or 'The whole file'}", "", " ".join(node["description"].split()), ""]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    below: list[str] = []
    for name, each in node["properties"].items():
        place = f"{path}.{name}".lstrip(".")
        default = _default(name, each, node.get("required", []))
        lines.append(f"| `{place}` | {_kind(each, known)} | {default} | {' '.join(each['description'].split())} |")
        inner = _inner(each, known)
        if inner is not None:
            below += _section(place + "[]" * _is_list(each), inner, known)
    return [*lines, "", *below]


def _inner(node: Node, known: Node) -> Node | None:
    """The section that a key holds, or a list of which it holds."""
    for kind in (node, node.get("items", {}), *node.get("anyOf", [])):
        if "$ref" in kind:
            target: Node = known[kind["$ref"].rsplit("/", 1)[-1]]
            return target if "properties" in target else None
    return None


def _is_list(node: Node) -> bool:
    return node.get("type") == "array"


def _kind(node: Node, known: Node) -> str:
    """The value that a key takes, in words."""
    if "anyOf" in node:
        return " or ".join(_kind(each, known) for each in node["anyOf"] if each.get("type") != "null")
    if "$ref" in node:
        target = known[node["$ref"].rsplit("/", 1)[-1]]
        return "section" if "properties" in target else _kind(target, known)
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    if _is_list(node):
        return f"list of {_kind(node['items'], known)}".replace("list of section", "list of sections")
    names = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true`, `false`"}
    return names[node["type"]] + _bounds(node)


def _bounds(node: Node) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    bounds = [f"{sign} {node[name]:g}" for name, sign in signs.items() if name in node]
    return " " + ", ".join(bounds) if bounds else ""


def _default(name: str, node: Node, required: list[str]) -> str:
    if name in required:
        return "required"
    value = node.get("default")
    return "" if value in (None, "") or isinstance(value, dict | list) else f"`{value}`"


def main(schema: Path, words: Path) -> None:
    schema.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    before, _, rest = words.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    words.write_text(f"{before}{BEGIN}\n\n{reference()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(each) for each in sys.argv[1:]))
