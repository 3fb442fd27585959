"""`paretogate train` and `paretogate predict`, as processes see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from gateway.cli.predict import command as predict
from gateway.cli.train import command as train
from predictors.artifact import load
from tests.predictors.pools import made

if TYPE_CHECKING:
    from pathlib import Path

    from click import Command

COLUMNS = ["query_id", "model", "quality", "quality_sd", "output_tokens", "cost_usd"]


def run(command: Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def write(path: Path, *, count: int = 120, seed: int = 0) -> Path:
    pool = made(count, seed=seed)
    table: dict[str, Any] = {"query_id": list(pool.queries.ids), "text": list(pool.queries.texts)}
    table["group"] = list(pool.groups)
    for column, model in enumerate(pool.models):
        name = f"team/{model}"
        table |= {f"score:{name}": pool.score[:, column], f"cost:{name}": pool.cost[:, column]}
        table[f"out:{name}"] = pool.output_tokens[:, column]
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    first, second = write(folder / "a.parquet"), write(folder / "b.parquet", seed=1)
    result = run(train, "--pool", first, "--pool", second, "--artifact", folder / "out", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "240 queries" in result.output
    return folder / "out"


def test_the_command_stands_in_the_manifest_without_paths(artifact: Path) -> None:
    command = load(artifact).manifest.command
    assert command.startswith("paretogate train --pool a.parquet --pool b.parquet")
    assert "--seed 3" in command
    assert str(artifact.parent) not in command


def test_pools_may_follow_one_flag(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.parquet", count=40) for name in "ab"]
    result = run(train, "--pool", *files, "--artifact", tmp_path / "out", "--cell-size", 8, "--predictor", "retrieval")
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "out").manifest.cell_size == 8


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_every_query_and_model_is_predicted_in_file_order(artifact: Path, tmp_path: Path, suffix: str) -> None:
    asked = tmp_path / "q.jsonl"
    asked.write_text('{"query_id": "x", "text": "add the numbers"}\n{"query_id": "y", "text": ""}\n', encoding="utf-8")
    out = tmp_path / f"out.{suffix}"
    result = run(predict, "--artifact", artifact, "--queries", asked, "--out", out)
    assert result.exit_code == 0, result.output
    if suffix == "parquet":
        rows = pq.read_table(out).to_pylist()
    else:
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [list(row) for row in rows] == [COLUMNS] * 6
    assert [(row["query_id"], row["model"]) for row in rows] == [
        (query, f"team/{model}") for query in "xy" for model in ("small", "coder", "large")
    ]
    assert all(0 <= row["quality"] <= 1 and row["cost_usd"] > 0 and row["output_tokens"] > 0 for row in rows)


def test_outcomes_in_the_file_change_nothing(artifact: Path, tmp_path: Path) -> None:
    plain, scored = tmp_path / "plain.jsonl", tmp_path / "scored.jsonl"
    plain.write_text('{"query_id": "x", "text": "add the numbers"}\n', encoding="utf-8")
    scored.write_text('{"query_id": "x", "text": "add the numbers", "score:team/small": "odd"}\n', encoding="utf-8")
    answers = []
    for asked in (plain, scored):
        assert run(predict, "--artifact", artifact, "--queries", asked, "--out", tmp_path / "o.jsonl").exit_code == 0
        answers.append((tmp_path / "o.jsonl").read_text(encoding="utf-8"))
    assert answers[0] == answers[1]


def test_no_queries_give_an_empty_table(artifact: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"query_id": pa.array([], pa.string()), "text": pa.array([], pa.string())}), empty)
    assert run(predict, "--artifact", artifact, "--queries", empty, "--out", tmp_path / "o.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--artifact", "none", "--queries", "q.jsonl", "--out", "o.jsonl"), "no artifact here"),
        (("--artifact", "none", "--queries", "q.jsonl", "--out", "o.csv"), ".parquet or .jsonl"),
        (("--artifact", "starter", "--queries", "none.jsonl", "--out", "o.jsonl"), "none.jsonl"),
    ],
)
def test_predict_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "q.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    places = [each if each.startswith("--") or each == "starter" else tmp_path / each for each in arguments]
    result = run(predict, *places)
    assert result.exit_code == 1
    assert says in result.output
    assert result.output.strip().startswith("Error:")
    assert "\n" not in result.output.strip()


def test_train_says_what_is_wrong(tmp_path: Path) -> None:
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"text": "a"}\n', encoding="utf-8")
    blank = tmp_path / "blank.jsonl"
    blank.write_text('{"text": "a", "score:m": null}\n', encoding="utf-8")
    for pool, says in ((bare, "score:<model>"), (blank, "no score"), (tmp_path / "none.parquet", "no such file")):
        result = run(train, "--pool", pool, "--artifact", tmp_path / "out")
        assert result.exit_code == 1
        assert says in result.output
    assert run(train, "--artifact", tmp_path / "out").exit_code == 2
    assert run(train, "--pool", bare, "--artifact", tmp_path / "out", "--encoder", "x").exit_code == 2
