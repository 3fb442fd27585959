"""Encoders behind one interface: real MiniLM as ONNX, and a real little server of `/v1/embeddings`."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli.train import command
from predictors.artifact import ArtifactError, load, save
from predictors.base import Prompt
from predictors.embedded import embedded, ends
from predictors.encoder import EncoderError, at, engine
from predictors.minilm_onnx import OnnxEmbedder
from predictors.remote import AT_ONCE, PROBES, RemoteEmbedder
from predictors.training import train
from predictors.weights import onnx_files
from tests.predictors.embedding_server import EmbeddingServer, embedding_server
from tests.predictors.outcomes import texts, two_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD = [
    "",
    " ",
    "\ud800 half",
    "\x00\x01\xff binary",
    "Grüße aus Köln",
    "東京タワーの高さは?",
    "x" * 1_000_000,
    "a " * 50_000,
]


@cache
def onnx() -> OnnxEmbedder:
    """The installed one; loading it takes a fifth of a second."""
    return OnnxEmbedder()


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as served:
        yield served


def likeness(one: str, other: str) -> float:
    first, second = onnx().embed([one, other])
    return float(first @ second)


def test_minilm_knows_what_is_alike() -> None:
    question = "How do I bake bread at home?"
    assert likeness(question, "A recipe for homemade loaves") > 0.5
    assert likeness(question, "The compiler reports a type error") < 0.2
    assert likeness(question, question) == pytest.approx(1, abs=1e-5)


def test_minilm_gives_unit_vectors_of_any_text_in_the_order_asked() -> None:
    vectors = onnx().embed([*ODD, "How do I bake bread?"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    alone = onnx().embed(["How do I bake bread?"])
    assert vectors[-1] @ alone[0] > 0.98  # int8 weights: a batch's scale differs a little
    assert onnx().embed([]).shape == (0, 384)


def test_minilm_reads_both_ends_of_a_long_text() -> None:
    filler = "and so on " * 400
    plain, head, tail = onnx().embed([filler, f"A recipe for bread. {filler}", f"{filler} A recipe for bread."])
    assert plain @ head < 0.99
    assert plain @ tail < 0.99


def test_a_text_is_cut_in_its_middle() -> None:
    assert ends("short", 100) == "short"
    cut = ends("h" * 500 + "t" * 500, 100)
    assert len(cut) <= 100
    assert (cut[0], cut[-1]) == ("h", "t")


def folder(target: Path) -> Path:
    """The installed model and tokenizer, as one would lay them out."""
    target.mkdir()
    model, tokenizer = onnx_files("")
    (target / "model.onnx").symlink_to(model)
    shutil.copy(tokenizer, target / "tokenizer.json")
    return target


def test_an_artifact_is_made_with_minilm_and_read_again_where_its_weights_are(tmp_path: Path) -> None:
    made = train([two_kinds(60)], encoder="minilm-onnx")
    save(made, tmp_path / "artifact")
    asked = [Prompt("What is 91 plus 3?"), Prompt("Write a poem about the moon near 4."), *map(Prompt, ODD[:6])]
    expected = made.predictor.predict(asked)
    assert expected.quality[0, 0] > expected.quality[1, 0] + 0.3
    found = load(tmp_path / "artifact").predictor.predict(asked)
    np.testing.assert_allclose(found.quality, expected.quality, atol=1e-5)
    elsewhere = folder(tmp_path / "weights")
    moved = load(tmp_path / "artifact", str(elsewhere))
    np.testing.assert_allclose(moved.predictor.predict(asked).quality, expected.quality, atol=1e-5)
    assert embedded(moved.predictor) == (0, len(asked))
    moved.predictor.predict(asked)
    assert embedded(moved.predictor) == (len(asked), len(asked))
    words = json.loads((elsewhere / "tokenizer.json").read_text())
    (elsewhere / "tokenizer.json").write_text(json.dumps(words | {"version": "1.0"}, indent=1))
    with pytest.raises(ArtifactError, match=r"are not those that the artifact was made with.*predictor\.encoder"):
        load(tmp_path / "artifact", str(elsewhere))


def test_weights_that_are_missing_or_damaged_are_said(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no model\.onnx and tokenizer.json here"):
        engine(f"minilm-onnx:{tmp_path}")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderError, match="cannot be read"):
        engine(f"minilm-onnx:{tmp_path}")
    with pytest.raises(EncoderError, match="no model here"):
        engine(f"minilm:{tmp_path}")
    with pytest.raises(EncoderError, match="'nobody' is not known; there are: lexical, minilm-onnx, minilm, remote"):
        engine("nobody")


def test_a_place_replaces_another(tmp_path: Path) -> None:
    assert at("remote:http://a/v1#m", "http://b/v1#m", tmp_path) == "remote:http://b/v1#m"
    assert at("minilm-onnx:/one", "", tmp_path) == "minilm-onnx:/one"
    assert at("minilm-onnx", "/two", tmp_path) == "minilm-onnx:/two"
    assert at("minilm:./encoder", "", tmp_path) == f"minilm:{tmp_path / 'encoder'}"
    assert at("lexical", "", tmp_path) == "lexical"


def remote(server: EmbeddingServer, model: str = "words", key: str = "") -> RemoteEmbedder:
    return RemoteEmbedder(f"{server.url}#{model}", key, timeout_s=5)


def test_a_server_is_asked_in_batches_and_its_vectors_put_in_order(server: EmbeddingServer) -> None:
    asked = [f"text {number}" for number in range(2 * AT_ONCE + 5)]
    vectors = remote(server, key="sk-key").embed(asked)
    assert vectors.shape == (len(asked), 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(remote(server).embed(asked[::-1])[::-1], vectors, rtol=1e-6)
    assert [len(each["input"]) for each in server.asked[:4]] == [len(PROBES), AT_ONCE, AT_ONCE, 5]
    assert server.asked[0]["path"] == "/v1/embeddings"
    assert set(server.keys) == {"Bearer sk-key", ""}
    assert remote(server).embed(ODD[:6]).shape == (6, 16)


def answered(status: int, body: bytes) -> Any:  # noqa: ANN401 - a callable
    return lambda _: (status, body)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_once_more(server: EmbeddingServer, status: int) -> None:
    server.answers = [answered(status, b"busy")]
    assert remote(server).embed(["one"]).shape == (1, 16)
    server.answers = [answered(status, b"busy")] * 2
    with pytest.raises(EncoderError, match=f"{status} busy"):
        remote(server).embed(["one"])


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b"who are you", "401 who are you"),
        (404, b"no such model", "404 no such model"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "no embeddings in the answer"),
        (200, b'{"data": [{"index": 0}]}', "no embeddings in the answer"),
        (200, b'{"data": [{"index": 0, "embedding": [1, 2]}]}', "3 texts gave an array of"),
        (200, b'{"data": [{"index": 0, "embedding": ["a"]}]}', "no embeddings in the answer"),
    ],
)
def test_what_a_server_answers_wrongly_is_one_error(
    server: EmbeddingServer, status: int, body: bytes, message: str
) -> None:
    server.answers = [answered(status, body)]
    with pytest.raises(EncoderError, match=message) as caught:
        remote(server, key="sk-secret").embed(["one"])
    assert "sk-secret" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EncoderError, match="no answer"):
        RemoteEmbedder("http://127.0.0.1:1/v1#m").embed(["one"])


@pytest.mark.parametrize("place", ["", "127.0.0.1/v1#m", "http://127.0.0.1/v1", "http://me:secret@host/v1#m"])
def test_a_place_that_names_no_server_and_model_is_refused(place: str) -> None:
    with pytest.raises(EncoderError, match="name the server and its model") as caught:
        engine(f"remote:{place}")
    assert "secret" not in str(caught.value)


def test_an_artifact_is_made_with_a_server_and_believes_no_other_model(server: EmbeddingServer, tmp_path: Path) -> None:
    made = train([two_kinds(60)], encoder=f"remote:{server.url}#words")
    save(made, tmp_path)
    asked = [Prompt(text) for text in texts(8)]
    expected = made.predictor.predict(asked).quality
    before = len(server.asked)
    loaded = load(tmp_path)
    assert not loaded.predictor.is_quick(1, 10)
    assert len(server.asked) == before  # the server need not be there when the artifact is loaded
    np.testing.assert_allclose(loaded.predictor.predict(asked).quality, expected, atol=1e-5)
    other = load(tmp_path, f"{server.url}#another")
    with pytest.raises(EncoderError, match="another is not the model that the artifact was made with"):
        other.predictor.predict(asked)


def test_the_command_takes_an_encoder_its_place_and_its_key(server: EmbeddingServer, tmp_path: Path) -> None:
    rows = [{"text": text, "score:m": number % 2} for number, text in enumerate(texts(20))]
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    to = ["--pool", str(pool), "--artifact", str(tmp_path / "made")]
    encoder = ["--encoder", f"remote:{server.url}#words", "--encoder-key", "sk-secret"]
    done = CliRunner().invoke(command, [*to, *encoder])
    assert done.exit_code == 0, done.output
    assert set(server.keys) == {"Bearer sk-secret"}
    manifest = (tmp_path / "made" / "manifest.json").read_text(encoding="utf-8")
    assert "sk-secret" not in manifest + done.output
    assert json.loads(manifest)["encoder"] == f"remote:{server.url}#words"
    wrong = CliRunner().invoke(command, [*to, "--encoder", "glove"])
    assert (wrong.exit_code, "'glove' is not one of lexical, minilm-onnx" in wrong.output) == (2, True)
    nowhere = CliRunner().invoke(command, [*to, "--encoder", f"minilm-onnx:{tmp_path}"])
    assert (nowhere.exit_code, "name the folder that holds both" in nowhere.output) == (1, True)
