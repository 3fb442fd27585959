"""`paretogate check`: what a configuration means, in words that an operator can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from gateway.cli.check import command
from tests.http.keyed import key

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
version: 1
models:
  - {{name: known, price: {{input: 0, output: 0}}, like: gpt-4o}}
  - {{name: believed, price: {{input: 1, output: 2.5}}, prior: {{quality: 0.7}}}}
  - {{name: strange, price: {{input: 1, output: 2}}}}
endpoints:
  - {{name: a, model: known, url: "http://127.0.0.1:1/v1", capacity: {{concurrency: 3}}}}
  - {{name: b, model: known, url: "http://127.0.0.1:2/v1", capacity: {{concurrency: 4}}, api_key: secret-token}}
  - {{name: c, model: strange, url: "http://127.0.0.1:3/v1"}}
predictor: {{artifact: starter}}
keys: {keys}
"""


def said(folder: Path, text: str) -> tuple[int, str]:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(command, [str(path)])
    return result.exit_code, result.output


def test_it_says_what_is_known_of_each_model_and_who_may_call(tmp_path: Path) -> None:
    code, output = said(tmp_path, FILE.format(keys=[key("team")]))
    assert code == 0
    for line in (
        "model known: 0 / 0 USD per million tokens in / out; described by the artifact's gpt-4o",
        "2 endpoint(s), 7 slots",
        "model believed: 1 / 2.5 USD per million tokens in / out; described by its prior, quality 0.7; NO endpoint",
        "described by NOTHING: quality 0.5 is assumed",
        "route auto: tradeoff 5.0 over known, strange",
        "callers: team",
    ):
        assert line in output
    assert "secret" not in output
    assert "sha256" not in output
    assert "callers: anyone" in said(tmp_path, FILE.format(keys=[]))[1]


def test_a_mistake_is_named_with_its_place_and_mend(tmp_path: Path) -> None:
    code, output = said(tmp_path, FILE.format(keys=[]).replace("concurrency: 3", "concurency: 3"))
    assert code == 1
    assert "endpoints[0].capacity.concurency: unknown key; did you mean concurrency?" in output
