"""`paretogate import`: another gateway's configuration as ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from gateway.discovery.litellm import imported
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.discovery.litellm import Imported

PRICELESS = "price: {input: …, output: …}  # USD per million tokens: LiteLLM's file names none; fill it in"


@click.group(name="import")
def command() -> None:
    """Turns another gateway's configuration into ours."""


@command.command(name="litellm")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write it there instead of to the screen.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object, with the notes.")
def litellm(*, file: Path, out: Path | None, as_json: bool) -> None:
    """Reads a LiteLLM proxy configuration; writes ours, and names on standard error what was not taken over."""
    try:
        result = imported(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise click.ClickException(f"{file}: not YAML: {getattr(error, 'problem', error)}") from error
    except ConfigurationError as error:
        raise click.ClickException(f"{file}: {error.message}") from error
    text = written(result, file.name)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    elif not as_json:
        click.echo(text, nl=False)
    if as_json:
        click.echo(json.dumps({**tree_of(result), "notes": [list(each) for each in result.notes]}))
    for path, said in result.notes:
        click.echo(f"{path}: {said}", file=sys.stderr)


def tree_of(result: Imported) -> dict[str, Any]:
    """As our settings read it, once every price is there."""
    everything = len(result.routed) == len(result.models)
    route = {"name": _free("auto", result), "models": ["*"] if everything else result.routed}
    return {
        "version": 1,
        "models": list(result.models.values()),
        "endpoints": result.endpoints,
        "routes": [{**route, "objective": {"tradeoff": 5}}] if result.routed else [],
        "predictor": {"artifact": "starter"},
    }


def written(result: Imported, source: str) -> str:
    """The configuration as YAML, with a line for everything that was guessed or left."""
    tree = tree_of(result)
    lines = [
        f"# From {source} by `paretogate import litellm`. Priors are guesses by name and size: see docs/tuning.md."
    ]
    lines += [f"# {path}: {said}" for path, said in result.notes]
    lines += ["version: 1", "models:"]
    for model in tree["models"]:
        remark = result.remarks.get(model["name"])
        lines += [f"  # {remark}"] if remark else []
        lines.append(f"  - {_flow(model)}")
        lines += [] if "price" in model else [f"    # {PRICELESS}"]
    lines += ["endpoints:", *(f"  - {_flow(each)}" for each in tree["endpoints"])]
    lines += ["routes:", *(f"  - {_flow(each)}" for each in tree["routes"])] if tree["routes"] else ["routes: []"]
    return "\n".join([*lines, f"predictor: {_flow(tree['predictor'])}", ""])


def _flow(value: object) -> str:
    return yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True
    ).strip()


def _free(name: str, result: Imported) -> str:
    """The route's name, unless a model has it."""
    return name if name not in result.models else f"{name}-route"
