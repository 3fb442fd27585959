"""The command line: one small module per command, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword
from typing import Final

import click

from gateway import __version__

COMMANDS: Final = {
    "serve": "the gateway",
    "key": "make a token for a caller",
    "check": "validate a configuration and say what it means",
    "train": "fit, calibrate and write an artifact",
    "predictor": "serve an artifact's predictions to gateways, as a process of its own",
    "predict": "what each model would make of each query of a file",
    "route": "assign a file of queries",
    "evaluate": "all rules side by side on outcome data, with a report",
    "replay-upstream": "the models of a pool as OpenAI-compatible endpoints",
    "collect": "ask every model every prompt, grade the answers, write a pool",
    "import": "another gateway's configuration as ours",
    "drive": "send a pool's queries to a live gateway",
    "export": "the decision log as a pool to train on",
    "simulate": "replay a pool as a trace in virtual time",
}


class Commands(click.Group):
    """Loads a command's module when it runs: serving does not import what training needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command: click.Command = import_module(f"gateway.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="paretogate")
def main() -> None:
    """Sends each chat completion to the cheapest model that will answer it well."""
