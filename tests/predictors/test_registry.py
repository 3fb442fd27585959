"""Predictors by name, and the bundled one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from predictors.artifact import MANIFEST, ArtifactError
from predictors.base import Prompt
from predictors.hybrid import FEW, SHORT, SMALL, Hybrid
from predictors.names import resolve
from predictors.registry import load_artifact, load_predictor, starter_folder
from predictors.retrieval import Memory, Retrieval

LIMIT = 15_000_000  # bytes of the bundled artifact


def test_the_starter_is_bundled_and_speaks() -> None:
    artifact = load_artifact("starter")
    said = artifact.predictor.predict([Prompt("What is the capital of France?"), Prompt("")])
    assert np.isfinite(said.quality).all()
    assert np.isfinite(said.cost_usd).all()
    assert sum(path.stat().st_size for path in starter_folder().iterdir()) <= LIMIT


def test_the_starter_can_be_shared() -> None:
    artifact = load_artifact("starter")
    assert artifact.manifest.cell_size == 8
    assert artifact.held_out.weight.min() >= 8
    memory = artifact.predictor.parts.retrieval.memory  # type: ignore[attr-defined]
    assert memory.size.min() >= 8
    manifest = json.loads((starter_folder() / MANIFEST).read_text(encoding="utf-8"))
    assert "/" not in manifest["command"], "no path of the machine that made it"
    assert manifest["command"].startswith("paretogate train --pool mmlu_pro14.parquet")


def test_the_starter_takes_a_few_short_prompts_quickly_but_no_more_nor_a_larger_memory() -> None:
    predictor = load_artifact("starter").predictor
    assert isinstance(predictor, Hybrid)
    assert predictor.is_quick(1, 400)
    assert predictor.is_quick(FEW, SHORT)
    assert not predictor.is_quick(FEW + 1, 400)
    assert not predictor.is_quick(1, SHORT + 1)
    memory = predictor.parts.retrieval.memory
    rows = np.zeros(SMALL // memory.vectors.shape[1] + 1, np.int64)
    larger = Memory(memory.vectors[rows], memory.mean[rows], memory.count[rows], memory.size[rows])
    assert not replace(predictor, parts=replace(predictor.parts, retrieval=Retrieval(larger))).is_quick(1, 400)


def test_models_of_the_starter_go_by_their_usual_names() -> None:
    artifact = load_artifact("starter")
    models = artifact.predictor.models
    assert resolve("gpt-4o", models) == "gpt-4o-2024-08-06"
    assert resolve("llama-3.1-70b", models) in models
    assert set(artifact.manifest.aliases.values()) <= set(models)


def test_a_better_model_is_estimated_better_where_neither_was_asked() -> None:
    """Models of different pools stand side by side in one configuration."""
    predictor = load_predictor("starter")
    quality = predictor.predict([Prompt("Which dynasty built the canal that joins the two great rivers?")]).quality[0]
    at = {name: quality[column] for column, name in enumerate(predictor.models)}
    assert at["gpt-4o-2024-08-06"] > at["Meta-Llama-3_1-8B-Instruct"] > at["llama3-chatqa-1.5-8b"]
    assert at["gemini-1.5-pro-002"] > at["gemma-2-2b"]


def test_a_folder_is_named_by_its_path(tmp_path: Path) -> None:
    assert load_predictor(Path(starter_folder())).models == load_predictor("starter").models
    with pytest.raises(ArtifactError, match="no artifact here"):
        load_predictor(tmp_path)
