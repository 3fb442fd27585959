"""A decision that comes back from its story is described in the same words and numbers."""

from __future__ import annotations

import json

import pytest

from gateway.core.decision import Decision, Stopwatch
from gateway.core.describe import describe
from gateway.core.story import told, written
from gateway.domain import Outcome, Query
from tests.feedback.decisions import FLEET, settled


def comparable(description: dict[str, object]) -> str:
    return json.dumps(description)  # a NaN is not equal to itself, its text is


def test_everything_comes_back() -> None:
    decision = settled()
    assert comparable(told(written(decision, FLEET))) == comparable(describe(decision, FLEET))


def test_a_query_that_nobody_answered_comes_back_too() -> None:
    query = Query(id="dec_2", target="auto", messages=b"[]")
    decision = Decision(query=query, watch=Stopwatch(0.0), outcome=Outcome.NO_HEADROOM, error="all full")
    assert comparable(told(written(decision, FLEET))) == comparable(describe(decision, FLEET))


def test_no_text_of_the_query_is_in_it() -> None:
    assert "gr" not in written(settled(messages=b'[{"role":"user","content":"grapefruit"}]'), FLEET)


def test_what_is_no_story_is_refused() -> None:
    with pytest.raises(ValueError, match="array"):
        told("{}")
