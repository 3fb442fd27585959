"""The log as a pool: what comes out is what `train` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.domain import Outcome
from gateway.feedback import Ended
from gateway.feedback.row import row
from gateway.feedback.store import Store
from predictors.pool import read_pool
from tests.feedback.decisions import FLEET, settled

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.decision import Decision


def message(text: str) -> bytes:
    return f'[{{"role":"user","content":"{text}"}}]'.encode()


def kept(url: str, *decisions: tuple[Decision, float | None], prompts: bool = True) -> None:
    store = Store(url)
    store.insert([row(Ended(each, each.query, FLEET, 1.0), score=score, prompts=prompts) for each, score in decisions])
    store.close()


def export(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["export", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.sqlite"


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_answers_of_two_models_to_one_prompt_are_one_row(url: str, tmp_path: Path, suffix: str) -> None:
    kept(
        url,
        (settled("dec_1", messages=message("one"), column=0), 0.5),
        (settled("dec_2", messages=message("two"), column=1), None),
        (settled("dec_3", messages=message("one"), column=1), 1.0),
        (settled("dec_4", messages=message("one"), column=0), None),  # later, but without a score
    )
    out = tmp_path / f"pool{suffix}"
    status, said = export("--log", url, "--out", out)
    assert status == 0
    assert "2 of 4 decisions have no score" in said
    assert "2 prompts, 4 answers of 2 models" in said
    pool = read_pool(out)
    assert pool.queries.ids == ("dec_1", "dec_2")
    assert [prompt.text for prompt in pool.queries.prompts] == list(pool.queries.texts) == ["one", "two"]
    assert pool.groups == ("auto", "auto")
    assert pool.models == ("small", "org/large")
    np.testing.assert_array_equal(pool.score, [[0.5, 1.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(pool.cost, [[7e-4, 7e-4], [np.nan, 7e-4]])
    np.testing.assert_array_equal(pool.input_tokens, [[9, 9], [np.nan, 9]])
    np.testing.assert_array_equal(pool.output_tokens, [[30, 30], [np.nan, 30]])
    np.testing.assert_array_equal(pool.latency, [[0.5, 0.5], [np.nan, 0.5]])


def test_without_prompts_it_says_what_is_missing(url: str, tmp_path: Path) -> None:
    kept(url, (settled("dec_1", messages=message("one")), 1.0), prompts=False)
    out = tmp_path / "pool.jsonl"
    status, said = export("--log", url, "--out", out)
    assert status == 0
    assert "1 of 1 decisions have no prompt: set log.prompts to true" in said
    assert read_pool(out).queries.texts == ("",)


def test_a_configuration_names_the_log(url: str, tmp_path: Path) -> None:
    kept(url, (settled("dec_1"), 1.0))
    config = tmp_path / "gateway.yaml"
    models = "models: [{name: m, price: {input: 0, output: 0}}]"
    endpoints = "endpoints: [{name: e, model: m, url: 'http://127.0.0.1:1'}]"
    config.write_text(f"version: 1\n{models}\n{endpoints}\nlog: {{url: '{url}'}}\n")
    assert export("--config", config, "--out", tmp_path / "pool.jsonl")[0] == 0
    config.write_text(f"version: 1\n{models}\n{endpoints}\nlog: {{url: ''}}\n")
    status, said = export("--config", config, "--out", tmp_path / "pool.jsonl")
    assert status == 1
    assert "log.url is empty" in said


def test_queries_that_nobody_answered_are_left_out(url: str, tmp_path: Path) -> None:
    failed = settled("dec_1")
    failed.outcome = Outcome.UPSTREAM_FAILED
    kept(url, (failed, None))
    out = tmp_path / "pool.jsonl"
    status, said = export("--log", url, "--out", out)
    assert (status, out.exists()) == (1, False)
    assert "no answered decision" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--log", "sqlite:////nowhere/log.sqlite", "--out", "pool.jsonl"], "the decision log"),
        (["--log", "nonsense", "--out", "pool.jsonl"], "log.url"),
        (["--config", "/nowhere.yaml", "--out", "pool.jsonl"], "cannot be read"),
        (["--out", "pool.jsonl"], "--config or --log"),
    ],
)
def test_what_cannot_be_read_is_said(arguments: list[str], words: str) -> None:
    status, said = export(*arguments)
    assert status in {1, 2}
    assert words in said


def test_another_suffix_is_refused(url: str, tmp_path: Path) -> None:
    kept(url, (settled("dec_1"), 1.0))
    status, said = export("--log", url, "--out", tmp_path / "pool.csv")
    assert status == 1
    assert "use .parquet or .jsonl" in said
