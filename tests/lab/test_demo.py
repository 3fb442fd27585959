"""The demonstration: that it says what it is, and that its outcomes are those of its rule."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI

from gateway.lab.demo import demo_endpoints, demo_pool
from gateway.lab.demo_rule import LENGTH, MODELS, rows
from gateway.settings.schema import Settings

BUNDLED: list[dict[str, Any]] = [
    json.loads(line) for line in (files("gateway.lab") / "demo_pool.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_the_bundled_outcomes_are_those_of_the_rule() -> None:
    assert list(rows(BUNDLED)) == BUNDLED
    assert all(row["origin"] == "synthetic" for row in BUNDLED)


def test_the_questions_are_of_every_kind_and_none_comes_twice() -> None:
    assert 60 <= len(BUNDLED) <= 120
    assert {row["group"] for row in BUNDLED} == set(LENGTH)
    assert len({row["text"] for row in BUNDLED}) == len({row["query_id"] for row in BUNDLED}) == len(BUNDLED)


def test_dearer_models_do_better_and_the_priors_say_how_much() -> None:
    pool = demo_pool()
    assert pool.models == tuple(model.name for model in MODELS)
    success = pool.score.mean(axis=0)
    assert np.all(np.diff(success) > 0)
    assert np.all(np.diff(pool.cost.mean(axis=0)) > 0)
    assert [model.prior for model in MODELS] == pytest.approx(success.tolist(), abs=0.01)


async def test_every_question_is_answered_and_the_answer_says_what_it_is() -> None:
    async with demo_endpoints(speed=float("inf")) as found:
        settings = Settings.model_validate({"version": 1, **found})
        for place in settings.endpoints:
            async with AsyncOpenAI(base_url=place.url, api_key="none", max_retries=0) as client:
                for question in (BUNDLED[0]["text"], "Something that nobody bundled?"):
                    answer = await client.chat.completions.create(
                        model=place.model, messages=[{"role": "user", "content": question}]
                    )
                    text = answer.choices[0].message.content or ""
                    assert text.startswith(f"[demonstration endpoint] {place.model} is made up")


def test_the_bundled_artifact_knows_who_the_models_are_like() -> None:
    manifest = json.loads((files("predictors") / "starter" / "manifest.json").read_text(encoding="utf-8"))
    assert {model.like for model in MODELS} <= set(manifest["models"])
