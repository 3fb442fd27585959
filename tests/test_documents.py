"""What the documents say is so: settings, errors and links, and every snippet runs as it stands."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from gateway import errors
from gateway.cli import main
from gateway.domain import Outcome
from gateway.settings import parse
from gateway.settings.export import BEGIN, END, reference
from tests.running import PARETOGATE, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")], key=str)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|href=\"([^\"#]+)")
ELSEWHERE = ("http://", "https://", "mailto:")
README_URL = "localhost:8080"
MINIMAL = """
version: 1
models: [{name: m, price: {input: 0, output: 0}}]
endpoints: [{name: e, model: m, url: "http://127.0.0.1:1"}]
"""


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a document."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def snippets(*languages: str) -> list[Snippet]:
    return [
        Snippet(path, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for path in DOCUMENTS
        for text in [path.read_text(encoding="utf-8")]
        for match in FENCE.finditer(text)
        if match[1] in languages
    ]


@dataclass(frozen=True)
class Typed:
    """A command that a document types, and the output that it shows below."""

    snippet: Snippet
    command: str
    output: str

    def __str__(self) -> str:
        return f"{self.snippet} {self.command[:40]}"


def typed() -> Iterator[Typed]:
    for snippet in snippets("console"):
        commands = re.split(r"^\$ ", snippet.text, flags=re.MULTILINE)[1:]
        for command, _, output in (each.partition("\n") for each in commands):
            yield Typed(snippet, command.partition(" #")[0].strip(), output)


def commands_that_begin_with(*programs: str) -> list[Typed]:
    return [each for each in typed() if shlex.split(each.command)[0].rsplit("/", 1)[-1] in programs]


@pytest.fixture(scope="module")
def demonstration() -> Iterator[str]:
    """A gateway with nothing configured, as `make run` starts it."""
    env = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    with running([PARETOGATE, "serve", "--port", "0"], env=env | {"OPENAI_API_KEY": ""}) as program:
        if "demonstration endpoints" not in program.text:
            pytest.skip("a model server of this machine was found instead of demonstration endpoints; stop it first")
        yield program.url


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == reference().strip(), "run `make generated`"


def rows(path: Path, first: str) -> dict[str, list[str]]:
    """The table whose head begins with a word: cells by the first of their row."""
    text = path.read_text(encoding="utf-8")
    table = text[text.index(f"| {first} |") :].split("\n\n")[0]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def test_every_error_is_documented() -> None:
    tree = {
        name: error
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.GatewayError)
    }
    documented = rows(ROOT / "docs" / "errors.md", "class")
    assert documented.keys() == tree.keys()
    for name, error in tree.items():
        status, kind, code, retry, _ = documented[name]
        if name not in {"UpstreamRejectedError", "ConfigurationError"}:  # as the upstream said; never sent
            retries = "yes" if error.should_retry else "no"
            assert (status, kind, code, retry) == (str(error.status), error.type, error.code, retries)


def test_every_outcome_is_documented() -> None:
    assert rows(ROOT / "docs" / "errors.md", "outcome").keys() == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    targets = [one or other for one, other in LINK.findall(path.read_text(encoding="utf-8"))]
    missing = [target for target in targets if not target.startswith(ELSEWHERE) and not (path.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=str)
def test_configurations_in_documents_are_good(snippet: Snippet) -> None:
    tree: dict[str, Any] = yaml.safe_load(snippet.text)
    whole = tree if "version" in tree else yaml.safe_load(MINIMAL) | tree
    parse(yaml.safe_dump(whole), {})


@pytest.mark.parametrize("snippet", snippets("json"), ids=str)
def test_json_in_documents_is_json(snippet: Snippet) -> None:
    for line in snippet.text.splitlines():
        json.loads(line)


@pytest.mark.parametrize("each", commands_that_begin_with("paretogate"), ids=str)
def test_commands_in_documents_exist(each: Typed, tmp_path: Path) -> None:
    _, name, *arguments = shlex.split(each.command)
    if name.startswith("-"):
        return
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    with chdir(tmp_path):
        command.make_context(name, arguments)


@pytest.mark.parametrize("each", commands_that_begin_with("make"), ids=str)
def test_targets_in_documents_exist(each: Typed) -> None:
    command = ["make", "--dry-run", *shlex.split(each.command)[1:]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("each", commands_that_begin_with("curl"), ids=str)
def test_requests_in_documents_are_answered(each: Typed, demonstration: str) -> None:
    line = each.command.replace(README_URL, demonstration.removeprefix("http://"))
    if "dec_…" in line:
        line = line.replace("dec_…", _a_decision(demonstration))
    result = subprocess.run([*shlex.split(line), "-si"], capture_output=True, text=True, check=True)
    head, _, body = result.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200"), result.stdout
    json.loads(body)
    shown = {name.split(":")[0].lower() for name in each.output.splitlines() if re.match(r"[a-z-]+: ", name)}
    sent = {name.split(":")[0].lower() for name in head.splitlines()[1:]}
    assert shown - sent == set()


def _a_decision(url: str) -> str:
    question = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "What is 7 plus 5?"}]})
    command = ["curl", "-s", f"{url}/v1/chat/completions", "-o", os.devnull, "-D", "-", "-d", question]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"x-paretogate-decision: (\S+)", head)
    assert found, head
    return found[1]


@pytest.mark.parametrize("snippet", snippets("python"), ids=str)
def test_programs_in_documents_run(snippet: Snippet, demonstration: str) -> None:
    source = snippet.text.replace(f"http://{README_URL}", demonstration)
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
