"""`paretogate route` on a small pool of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.cli.route import command, parse_capacity
from gateway.errors import ConfigurationError
from gateway.lab.methods import METHODS
from gateway.lab.route import slots_of
from predictors.artifact import save
from predictors.pool import read_pool
from predictors.training import train

if TYPE_CHECKING:
    from pathlib import Path

SMALL, LARGE = "org/small=1", "large"


def pool_row(number: int) -> dict[str, Any]:
    """Sums are easy; the small model fails on riddles."""
    easy = number % 3 != 0
    text = f"How much is {number} plus {number + 7}?" if easy else f"Riddle {number}: what has keys and no doors?"
    return {
        "query_id": f"q{number}",
        "group": "sums" if easy else "riddles",
        "text": text,
        f"score:{SMALL}": float(easy),
        f"score:{LARGE}": 1.0,
        f"cost:{SMALL}": 0.0001,
        f"cost:{LARGE}": 0.001,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("route")
    pool = read_pool(write(folder / "pool.jsonl", [pool_row(number) for number in range(120)]))
    save(train([pool]), folder / "artifact")
    return folder / "artifact"


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    return write(tmp_path / "queries.jsonl", [pool_row(number) for number in range(200, 260)])


def routed(artifact: Path, queries: Path, *options: str, out: str = "out.jsonl") -> Result:
    target = queries.parent / out
    arguments = ["--artifact", str(artifact), "--queries", str(queries), "--out", str(target), *options]
    return CliRunner().invoke(command, arguments)


def rows_of(queries: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (queries.parent / "out.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_one_row_per_query_in_file_order(artifact: Path, queries: Path, method: str) -> None:
    result = routed(artifact, queries, "--min-quality", "0.8", "--method", method)
    assert result.exit_code == 0, result.output
    rows = rows_of(queries)
    assert [row["query_id"] for row in rows] == [f"q{number}" for number in range(200, 260)]
    assert {row["model"] for row in rows} <= {SMALL, LARGE}
    assert all(0 <= row["predicted_quality"] <= 1 and row["predicted_cost_usd"] > 0 for row in rows)
    assert all(row["predicted_output_tokens"] is None for row in rows)


def test_outcomes_in_the_file_change_nothing(artifact: Path, queries: Path) -> None:
    routed(artifact, queries, "--min-quality", "0.8")
    seen = rows_of(queries)
    kept = ("query_id", "text")
    write(queries, [{key: pool_row(number)[key] for key in kept} for number in range(200, 260)])
    routed(artifact, queries, "--min-quality", "0.8")
    assert rows_of(queries) == seen


def test_capacity_holds_in_every_batch_of_neighbours(artifact: Path, queries: Path) -> None:
    result = routed(artifact, queries, "--tradeoff", "10", "--batch-size", "10", "--capacity", f"{LARGE}=2")
    assert result.exit_code == 0, result.output
    large = np.array([row["model"] == LARGE for row in rows_of(queries)])
    assert (large.reshape(-1, 10).sum(axis=1) <= 2).all()


def test_a_small_budget_takes_the_small_model(artifact: Path, queries: Path) -> None:
    assert routed(artifact, queries, "--max-cost-per-1k", "0.05").exit_code == 0
    assert {row["model"] for row in rows_of(queries)} == {SMALL}


def test_parquet_out(artifact: Path, queries: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - of the offline extra

    assert routed(artifact, queries, "--tradeoff", "5", out="out.parquet").exit_code == 0
    names = ["query_id", "model", "predicted_quality", "predicted_cost_usd", "predicted_output_tokens"]
    assert pq.read_table(queries.parent / "out.parquet").column_names == names


def test_no_queries_make_no_rows(artifact: Path, tmp_path: Path) -> None:
    empty = tmp_path / "queries.jsonl"
    empty.write_text(json.dumps({"query_id": "a", "text": "x"}) + "\n", encoding="utf-8")
    result = routed(artifact, empty, "--tradeoff", "5", "--json")
    assert json.loads(result.stdout)["queries"] == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give one of"),
        (("--tradeoff", "5", "--min-quality", "0.5"), "give one of"),
        (("--tradeoff", "5", "--capacity", "larg=2"), LARGE),
        (("--tradeoff", "5", "--capacity", "large"), "MODEL=K"),
        (("--tradeoff", "5", "--capacity", f"{LARGE}=0,{SMALL}=0"), "room for every query"),
        (("--tradeoff", "5", "--method", "magic"), "magic"),
        (("--min-quality", "1.5"), "1.5"),
    ],
)
def test_what_cannot_be_done_is_said(artifact: Path, queries: Path, options: tuple[str, ...], says: str) -> None:
    result = routed(artifact, queries, *options)
    assert result.exit_code in (1, 2)
    assert says in result.output
    assert not (queries.parent / "out.jsonl").exists()


def test_a_missing_artifact_is_said(queries: Path, tmp_path: Path) -> None:
    result = routed(tmp_path / "nowhere", queries, "--tradeoff", "5")
    assert result.exit_code == 1
    assert "no artifact here" in result.output


def test_names_may_hold_slashes_and_equals_signs() -> None:
    assert parse_capacity(f"{SMALL}=3, {LARGE}=0,") == {SMALL: 3, LARGE: 0}
    assert slots_of({SMALL: 3}, [LARGE, SMALL])[1] == 3
    with pytest.raises(ConfigurationError, match="MODEL=K"):
        parse_capacity("a=b")
