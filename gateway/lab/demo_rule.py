"""The demonstration's models and the rule that made their outcomes. Nothing here was measured.

A question has a kind and a difficulty from 1 to 5; a model has a level for every kind. It is right when its level
reaches the difficulty, and at one step above its level for every third question of that kind. An answer has
LENGTH[kind] + 12 x difficulty tokens times the model's wordiness. `demo_pool.jsonl` holds what this rule gives.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.domain import Price, Usage
from gateway.lab.replay_answers import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LENGTH = {"arithmetic": 30, "facts": 24, "code": 90, "logic": 60, "writing": 110}  # tokens, made up
TOKENS_BY_DIFFICULTY = 12
LUCK = 3  # one step above its level a model is right every third time


@dataclass(frozen=True, slots=True)
class DemoModel:
    """A made-up model."""

    name: str
    price: Price
    levels: Mapping[str, int]
    wordiness: float
    prior: float  # mean success by the rule over the bundled questions
    like: str  # the model of the bundled artifact whose estimates it borrows
    concurrency: int


MODELS = (
    DemoModel(
        name="demo-small",
        price=Price(input=0.05, output=0.20),
        levels={"arithmetic": 2, "facts": 2, "code": 1, "logic": 1, "writing": 3},
        wordiness=1.0,
        prior=0.45,
        like="gemma-2-2b",
        concurrency=64,
    ),
    DemoModel(
        name="demo-medium",
        price=Price(input=0.40, output=1.60),
        levels={"arithmetic": 4, "facts": 3, "code": 3, "logic": 2, "writing": 4},
        wordiness=1.2,
        prior=0.74,
        like="Llama-3-70B",
        concurrency=32,
    ),
    DemoModel(
        name="demo-large",
        price=Price(input=2.50, output=10.0),
        levels={"arithmetic": 5, "facts": 4, "code": 5, "logic": 4, "writing": 5},
        wordiness=1.5,
        prior=0.96,
        like="gpt-4o-2024-08-06",
        concurrency=16,
    ),
)


def rows(questions: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Pool rows for questions with query_id, group (the kind), difficulty and text, in order."""
    seen: Counter[str] = Counter()
    for question in questions:
        kind, difficulty, text = question["group"], question["difficulty"], question["text"]
        row = {**{name: question[name] for name in ("query_id", "group", "difficulty", "text")}, "origin": "synthetic"}
        for model in MODELS:
            usage = Usage(len(text) // CHARACTERS_PER_TOKEN + 1, _length(model, kind, difficulty))
            row[f"score:{model.name}"] = float(_right(model, kind, difficulty, seen[kind]))
            row[f"cost:{model.name}"] = round(model.price.usd(usage), 9)
            row[f"in:{model.name}"] = usage.input_tokens
            row[f"out:{model.name}"] = usage.output_tokens
        seen[kind] += 1
        yield row


def _right(model: DemoModel, kind: str, difficulty: int, number: int) -> bool:
    step = difficulty - model.levels[kind]
    return step <= 0 or (step == 1 and number % LUCK == 0)


def _length(model: DemoModel, kind: str, difficulty: int) -> int:
    return round((LENGTH[kind] + TOKENS_BY_DIFFICULTY * difficulty) * model.wordiness)
