"""Pools from files: the wide format, its two foreign relatives, and what is wrong with the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.pool import PoolError, read_pool, read_queries
from predictors.pool_formats import wide

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "look"}}]
WIDE: list[dict[str, Any]] = [
    {"query_id": "a", "group": "g", "text": "one", "score:x/y": 1.0, "cost:x/y": 0.5, "in:x/y": 3, "lat:x/y": 1.5},
    {"query_id": "b", "text": "Hello", "messages": json.dumps(MESSAGES), "tools": json.dumps(TOOLS), "score:z": 0.25},
]


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_a_sparse_wide_pool_is_read_alike_from_both_formats(tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - either writer
    path = write(tmp_path / f"pool.{write.__name__}", WIDE)
    pool = read_pool(path)
    assert pool.models == ("x/y", "z")
    assert pool.groups == ("g", "")
    np.testing.assert_array_equal(pool.score, [[1.0, np.nan], [np.nan, 0.25]])
    np.testing.assert_array_equal(pool.cost, [[0.5, np.nan], [np.nan, np.nan]])
    assert (pool.input_tokens[0, 0], pool.latency[0, 0]) == (3, 1.5)
    assert np.isnan(pool.output_tokens).all()
    queries = pool.queries
    assert queries.ids == ("a", "b")
    assert queries.messages == ([{"role": "user", "content": "one"}], MESSAGES)
    assert queries.tools == (None, TOOLS)
    assert queries.prompts[1].text == "Be brief.\nHello"
    assert read_queries(path) == queries


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_a_score_that_is_no_number_is_not_known_and_an_id_may_come_twice(tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - either writer
    rows = [
        {"query_id": "a", "text": "one", "score:m": float("nan"), "cost:m": 0.0},
        {"query_id": "a", "text": "two", "score:m": 1.0, "cost:m": float("nan")},
    ]
    pool = read_pool(write(tmp_path / f"pool.{write.__name__}", rows))
    assert pool.queries.ids == ("a", "a")
    np.testing.assert_array_equal(pool.score, [[np.nan], [1.0]])
    np.testing.assert_array_equal(pool.cost, [[0.0], [np.nan]])


def test_queries_are_read_without_looking_at_outcomes(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "q.jsonl", [{"text": "one", "score:m": "nonsense"}, {"text": None, "query_id": "named"}])
    queries = read_queries(path)
    assert queries.ids == ("0", "named")
    assert queries.texts == ("one", "")


def test_a_line_separator_of_unicode_ends_no_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "q.jsonl", [{"text": "one\u2028two\x85three"}])
    assert read_queries(path).texts == ("one\u2028two\x85three",)


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_records_of_qaserve_are_a_pool(tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - either writer
    def output(name: str, correct: Any, length: int) -> dict[str, Any]:  # noqa: ANN401 - bool or number
        return {"model_name": name, "prediction": "…", "correctness": correct, "output_token_length": length}

    records = [
        {"query": "first", "input_token_length": 7, "outputs": [output("m", 1, 20), output("n", 0, 30)]},
        {"query": "second", "input_token_length": 9, "outputs": [output("n", 1, 40)]},
    ]
    path = write(tmp_path / f"qaserve.{write.__name__}", records)
    pool = read_pool(path)
    assert pool.models == ("m", "n")
    assert pool.queries.texts == ("first", "second")
    np.testing.assert_array_equal(pool.score, [[1, 0], [np.nan, 1]])
    np.testing.assert_array_equal(pool.input_tokens, [[7, 7], [np.nan, 9]])
    np.testing.assert_array_equal(pool.output_tokens, [[20, 30], [np.nan, 40]])
    assert read_queries(path) == pool.queries


def test_correctness_may_be_true_or_false(tmp_path: Path) -> None:
    record = {"query": "q", "outputs": [{"model_name": "m", "correctness": True}]}
    assert read_pool(jsonl(tmp_path / "p.jsonl", [record])).score.tolist() == [[1.0]]


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_the_table_of_routerbench_is_a_pool(tmp_path: Path, write: Any) -> None:  # noqa: ANN401 - either writer
    rows = [
        {
            "sample_id": f"arc.{number}",
            "prompt": prompt,
            "eval_name": "arc",
            "org/m": score,
            "org/m|model_response": "A",
            "org/m|total_cost": 0.002,
            "oracle_model_to_route_to": "org/m",
        }
        for number, (prompt, score) in enumerate([("['Say A.', 'Why?']", 1.0), ("[plain text]", 0.25)])
    ]
    path = write(tmp_path / f"routerbench.{write.__name__}", rows)
    pool = read_pool(path)
    assert pool.models == ("org/m",)
    assert pool.groups == ("arc", "arc")
    assert pool.queries.ids == ("arc.0", "arc.1")
    assert pool.queries.texts == ("Say A.\nWhy?", "[plain text]")
    assert pool.score.tolist() == [[1.0], [0.25]]
    assert pool.cost.tolist() == [[0.002], [0.002]]
    assert read_queries(path) == pool.queries


def test_a_prompt_column_beside_a_text_is_just_another_column(tmp_path: Path) -> None:
    row = {"text": "kept", "prompt": "other", "query": "other", "score:m": 1}
    assert read_pool(jsonl(tmp_path / "p.jsonl", [row])).queries.texts == ("kept",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"query_id": "a", "score:m": 1}], "no column text"),
        ([{"text": "a"}], "no column named score:<model>"),
        ([{"text": "a", "score:m": 1}, {"text": "b", "score:m": 2}], "score:m in row 2 is 2; it must be 0 to 1"),
        ([{"text": "a", "score:m": "good"}], "score:m holds something that is no number"),
        ([{"text": "a", "score:m": 1, "cost:m": -1}], "cost:m in row 1 is -1; it must be 0 or more"),
        ([{"text": "a", "score:m": 1, "out:m": float("inf")}], "out:m in row 1 is inf"),
        ([{"text": "a", "score:m": 1, "messages": "{no"}], "messages is not JSON"),
        ([{"query": "a", "outputs": "text"}], "record 1: outputs is no list of objects with a model_name"),
        ([{"query": "a", "outputs": [{"correctness": 1}]}], "record 1: outputs is no list"),
        ([1], "line 1 is not an object"),
    ],
)
def test_what_is_no_pool_is_one_clear_error(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = jsonl(tmp_path / "pool.jsonl", rows)
    with pytest.raises(PoolError, match=message) as caught:
        read_pool(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pool.jsonl", b'{"text": "a"}\n{', "line 2 is not JSON"),
        ("pool.jsonl", b"\xff\xfe", "cannot be read as UTF-8"),
        ("pool.jsonl", b"", "no column named score:<model>"),
        ("pool.parquet", b"no parquet", "not a readable Parquet file"),
        ("pool.csv", b"a,b", "use .parquet or .jsonl"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PoolError, match=message):
        read_pool(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no such file"):
        read_queries(tmp_path / "none.jsonl")


@given(st.text())
def test_no_prompt_of_routerbench_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, prompt: str) -> None:
    for text in (prompt, f"[{prompt}]"):
        table = wide(tmp_path_factory.getbasetemp(), {"prompt": [text], "m": [1.0], "m|total_cost": [0.0]})
        assert isinstance(table["text"][0], str)
