"""MiniLM in torch, and its fine-tuning, with a tiny random encoder in the environment that has torch."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli.train import command
from predictors.finetune_train import halves
from predictors.hashes import text_hashes
from tests.predictors.outcomes import two_kinds

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-llm"
MODULES = ("sentence_transformers", "faiss", "scipy")


def _has_torch() -> bool:
    folders = list(ENVIRONMENT.glob("lib/python*/site-packages"))
    return any(all((folder / name).exists() for name in MODULES) for folder in folders)


needs_torch = pytest.mark.skipif(
    not _has_torch(), reason=f"{ENVIRONMENT.name} has no torch; `make -B {ENVIRONMENT.name}/.ready` builds it anew"
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tiny_minilm.py tells."""
    program: list[str | Path] = [
        ENVIRONMENT / "bin" / "python",
        "-m",
        "tests.predictors.tiny_minilm",
        tmp_path_factory.mktemp("tiny"),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


@needs_torch
def test_torch_embeds_any_text(told: dict[str, Any]) -> None:
    np.testing.assert_allclose(told["odd"], 1, rtol=1e-4)
    assert told["none"] == [0, 32]


@needs_torch
def test_tuning_learns_keeps_the_best_and_writes_safetensors(told: dict[str, Any]) -> None:
    losses = told["losses"]
    assert told["best"] == int(np.argmin(losses))
    assert losses[told["best"]] < losses[0]
    assert {"model.safetensors", "modules.json", "tokenizer.json"} <= set(told["files"])
    assert told["moved"] > 1e-4
    assert "are not those that the artifact was made with" in told["refused"]


@needs_torch
def test_an_artifact_carries_its_tuned_encoder_and_is_judged_on_the_other_half(told: dict[str, Any]) -> None:
    manifest = told["manifest"]
    assert manifest["encoder"] == "minilm:./encoder"
    assert manifest["training"]["tuned"]["queries"] + manifest["training"]["queries"] == 160
    assert told["held_out"][0] == told["held_out"][1]
    assert told["hashes"]
    assert told["same"]
    assert told["quality"][0] > told["quality"][1] + 0.15, "80 answers are few beside the 100 that hold to the defaults"
    assert "are not those" in told["other"]


def test_equal_texts_are_on_one_side() -> None:
    pool = two_kinds(300)
    first, second = halves(pool, first=True), halves(pool, first=False)
    assert len(first.queries.ids) + len(second.queries.ids) == 300
    assert min(len(first.queries.ids), len(second.queries.ids)) > 100
    assert not set(text_hashes(first.queries.prompts)) & set(text_hashes(second.queries.prompts))
    np.testing.assert_array_equal(first.score[0], pool.score[pool.queries.ids.index(first.queries.ids[0])])


@pytest.mark.parametrize(
    ("rows", "encoder", "message"),
    [
        (10, "minilm", "10 queries are too few for fine-tuning"),
        (10, "minilm-onnx", "--fine-tune takes --encoder minilm or minilm:FOLDER, not minilm-onnx"),
        (100, "minilm:nowhere", "no model here"),
    ],
)
def test_what_cannot_be_tuned_is_said(tmp_path: Path, rows: int, encoder: str, message: str) -> None:
    pool = tmp_path / "pool.jsonl"
    lines = [{"text": f"text {number}", "score:m": number % 2} for number in range(rows)]
    pool.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    to = ["--pool", str(pool), "--artifact", str(tmp_path / "made"), "--encoder", encoder, "--fine-tune"]
    done = CliRunner().invoke(command, to)
    assert (done.exit_code, message in done.output) == (1, True), done.output
