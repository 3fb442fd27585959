"""The command, from files to files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from gateway.cli.evaluate import command
from predictors.artifact import save
from predictors.training import train
from tests.lab.outcomes import made_pool

if TYPE_CHECKING:
    from pathlib import Path

    from predictors.pool import Pool


def write(pool: Pool, path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row, text in enumerate(pool.queries.texts):
            cells = {"query_id": pool.queries.ids[row], "group": pool.groups[row], "text": text}
            for column, model in enumerate(pool.models):
                cells |= {f"score:{model}": pool.score[row, column], f"cost:{model}": pool.cost[row, column]}
            file.write(json.dumps(cells) + "\n")
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    save(train([made_pool(90, seed=1)]), folder)
    return folder


def test_a_new_pool_becomes_results_and_a_report(artifact: Path, tmp_path: Path) -> None:
    pool = write(made_pool(60), tmp_path / "new.jsonl")
    arguments = ["--pool", str(pool), "--artifact", str(artifact), "--report", str(tmp_path / "out"), "--draws", "20"]
    run = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert run.exit_code == 0, run.output
    assert "new: 60 queries (as_is, 0 left out)" in run.output
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["pools"][0]["name"] == "new"
    assert [each["queries"] for each in results["latency"]] == [1, 16, 64]
    assert str(tmp_path) not in json.dumps(results)
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_artifact_with_a_tuned_encoder_is_not_refitted_on_what_tuned_it(tmp_path: Path) -> None:
    pool = made_pool(60)
    made = train([pool])
    training = {**made.manifest.training, "tuned": {"queries": 30}}
    save(replace(made, manifest=replace(made.manifest, training=training)), tmp_path / "tuned")
    files = ["--pool", str(write(pool, tmp_path / "same.jsonl")), "--artifact", str(tmp_path / "tuned")]
    run = CliRunner().invoke(command, [*files, "--report", str(tmp_path / "out"), "--draws", "20"])
    assert (run.exit_code, "evaluate it on a pool that it was not trained on" in run.output) == (1, True), run.output


@pytest.mark.parametrize(
    ("pool", "artifact_name", "says"),
    [
        ("absent.jsonl", "", "no such file"),
        ("new.jsonl", "absent", "no artifact here"),
        ("few.jsonl", "", "it takes 20"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(
    artifact: Path, tmp_path: Path, pool: str, artifact_name: str, says: str
) -> None:
    write(made_pool(30), tmp_path / "new.jsonl")
    write(made_pool(5), tmp_path / "few.jsonl")
    folder = tmp_path / artifact_name if artifact_name else artifact
    arguments = ["--pool", str(tmp_path / pool), "--artifact", str(folder), "--report", str(tmp_path / "out")]
    run = CliRunner().invoke(command, arguments)
    assert run.exit_code == 1
    assert says in run.output
    assert not (tmp_path / "out").exists()
