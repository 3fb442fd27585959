"""The light encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictors.base import Prompt
from predictors.encoder import ENGINES, EncoderError, engine
from tests.predictors.pools import made

if TYPE_CHECKING:
    from predictors.encoder import Encoder

PROMPTS = made(200).queries.prompts


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    source = engine("lexical")
    return source.fit(source.read(PROMPTS), 0)


ODD = ["", " ", "\0\1\2", "日本語のテキスト", "\ud800", "x" * 1_000_000, "a b " * 250_000, "🙂" * 50]


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_encoded(encoder: Encoder, text: str) -> None:
    features = encoder.encode([Prompt(text)])
    for table in (features.inputs, features.vectors, features.signals):
        assert table.dtype == np.float32
        assert np.isfinite(table).all()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(several=st.lists(st.sampled_from(PROMPTS[:20]), max_size=5))
def test_a_prompt_is_encoded_alike_in_company(encoder: Encoder, several: list[Prompt]) -> None:
    whole = encoder.encode(several)
    for row, prompt in enumerate(several):
        alone = encoder.encode([prompt])
        np.testing.assert_allclose(whole.inputs[row], alone.inputs[0], atol=1e-5)
        np.testing.assert_allclose(whole.vectors[row], alone.vectors[0], atol=1e-5)


def test_vectors_are_of_unit_length(encoder: Encoder) -> None:
    lengths = np.linalg.norm(encoder.encode(PROMPTS[:50]).vectors, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_reading_ahead_changes_nothing(encoder: Encoder) -> None:
    source = engine("lexical")
    read = source.project(encoder, source.read(PROMPTS).rows(np.arange(30)))
    fresh = encoder.encode(PROMPTS[:30])
    np.testing.assert_allclose(read.inputs, fresh.inputs, atol=1e-5)
    np.testing.assert_allclose(read.signals, fresh.signals, atol=1e-5)


def test_it_is_restored_exactly(encoder: Encoder) -> None:
    again = engine(encoder.name).restore(encoder.arrays())
    np.testing.assert_array_equal(again.encode(PROMPTS[:20]).inputs, encoder.encode(PROMPTS[:20]).inputs)


def test_it_is_deterministic(encoder: Encoder) -> None:
    source = engine("lexical")
    again = source.fit(source.read(PROMPTS), 0)
    np.testing.assert_array_equal(again.encode(PROMPTS[:20]).inputs, encoder.encode(PROMPTS[:20]).inputs)


def test_likeness_follows_the_task(encoder: Encoder) -> None:
    sums, code = "add the numbers how many apples", "def return list function assert"
    one, two, other = encoder.encode([Prompt(sums), Prompt(sums + " left"), Prompt(code)]).vectors
    assert one @ two > one @ other


def test_known_text_is_nearer_than_foreign_text(encoder: Encoder) -> None:
    known, foreign = encoder.encode([PROMPTS[0], Prompt("zqx vvkj wwq pfff")]).signals
    assert (known > foreign).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_it_is_fitted_on_almost_nothing(count: int) -> None:
    source = engine("lexical")
    encoder = source.fit(source.read(PROMPTS[:count]), 0)
    features = encoder.encode([PROMPTS[0], Prompt("")])
    assert np.isfinite(features.inputs).all()
    assert len(features.vectors) == 2


def test_what_is_missing_is_named() -> None:
    with pytest.raises(EncoderError, match=ENGINES[0]):
        engine("word2vec")
    with pytest.raises(EncoderError, match="buckets"):
        engine("lexical").restore({})
    source = engine("lexical")
    arrays = dict(source.fit(source.read(PROMPTS[:9]), 0).arrays())
    with pytest.raises(EncoderError, match="another version"):
        source.restore(arrays | {"centre": np.zeros(3)})
