"""Artifacts as folders: what is written is read, and what is damaged is refused with a word on what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from predictors.artifact import FORMAT, MANIFEST, Artifact, ArtifactError, load, save
from predictors.hashes import text_hash
from predictors.priors import prior_of
from predictors.training import train
from tests.predictors.pools import made

if TYPE_CHECKING:
    from pathlib import Path

POOL = made(200)
ARTIFACT = train([POOL], command="paretogate train …")
PROMPTS = POOL.queries.prompts[:20]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(ARTIFACT, tmp_path / "deep" / "artifact")
    return tmp_path / "deep" / "artifact"


def rewrite(folder: Path, **fields: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def test_it_says_the_same_after_it_is_read(folder: Path) -> None:
    again = load(folder)
    one, two = ARTIFACT.predictor.predict(PROMPTS), again.predictor.predict(PROMPTS)
    np.testing.assert_array_equal(one.quality, two.quality)
    np.testing.assert_array_equal(one.quality_sd, two.quality_sd)
    np.testing.assert_array_equal(one.output_quantiles, two.output_quantiles)
    np.testing.assert_array_equal(one.cost_usd, two.cost_usd)
    np.testing.assert_array_equal(again.held_out.score, ARTIFACT.held_out.score)
    assert again.predictor.models == ARTIFACT.predictor.models
    assert again.manifest.command == "paretogate train …"
    assert again.manifest.training == ARTIFACT.manifest.training


def test_hashes_tell_what_was_trained_on(folder: Path) -> None:
    hashes = load(folder).text_hashes
    assert hashes.dtype == np.uint64
    assert (np.diff(hashes.astype(np.float64)) > 0).all()
    assert text_hash(POOL.queries.texts[0]) in hashes
    assert text_hash("something else") not in hashes


def test_no_text_and_no_pickle_is_kept(folder: Path) -> None:
    inside = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(text.encode() in inside for text in POOL.queries.texts)
    assert {path.suffix for path in folder.iterdir()} == {".npy", ".json"}


def test_saving_over_an_old_artifact_leaves_nothing_of_it(folder: Path) -> None:
    (folder / "stale.npy").write_bytes(b"old")
    save(ARTIFACT, folder)
    assert not (folder / "stale.npy").exists()
    load(folder)


def test_a_missing_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="paretogate train"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "new"}', '{"format": 1}'])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match="train it again"):
        load(folder)


def test_a_newer_format(folder: Path) -> None:
    rewrite(folder, format=FORMAT + 1)
    with pytest.raises(ArtifactError, match=r"newer.*update paretogate"):
        load(folder)


def test_an_older_format(folder: Path) -> None:
    rewrite(folder, format=FORMAT - 1)
    with pytest.raises(ArtifactError, match=r"older.*train it again"):
        load(folder)


def test_an_encoder_that_is_not_here(folder: Path) -> None:
    rewrite(folder, encoder="brain")
    with pytest.raises(ArtifactError, match="brain"):
        load(folder)


def test_a_changed_array(folder: Path) -> None:
    path = folder / "network.entry.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"oops")
    with pytest.raises(ArtifactError, match=r"network.entry.npy.*changed"):
        load(folder)


def test_a_lost_array(folder: Path) -> None:
    (folder / "memory.mean.npy").unlink()
    with pytest.raises(ArtifactError, match=r"memory.mean.npy"):
        load(folder)


def test_a_manifest_that_forgets_an_array(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    rewrite(folder, files={name: digest for name, digest in files.items() if name != "head.npy"})
    with pytest.raises(ArtifactError, match="head"):
        load(folder)


def test_a_manifest_of_other_models(folder: Path) -> None:
    rewrite(folder, models=["one"])
    with pytest.raises(ArtifactError, match="train it again"):
        load(folder)


def test_a_prior_is_no_artifact(tmp_path: Path) -> None:
    prior = prior_of(ARTIFACT.predictor, ARTIFACT.held_out)
    with pytest.raises(ArtifactError, match="PriorPredictor"):
        save(Artifact(prior, ARTIFACT.held_out, ARTIFACT.manifest, ARTIFACT.text_hashes), tmp_path)


def test_serving_one_imports_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from predictors.base import Prompt;"
        "from predictors.registry import load_predictor;"
        "load_predictor(Path(sys.argv[1])).predict([Prompt('how many apples?')]);"
        "heavy = {'torch', 'scipy', 'faiss', 'sklearn', 'pyarrow', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
