"""The extension: in the body or in headers, in range or refused by name."""

from __future__ import annotations

import json

import pytest

from gateway.domain import Preferences
from gateway.errors import InvalidRequestError
from gateway.http.body import read
from gateway.http.surface import CHAT


def asked(routing: object = None, **headers: str) -> Preferences:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x"}], "routing": routing})
    sent = {f"x-paretogate-{name.replace('_', '-')}".encode(): value.encode() for name, value in headers.items()}
    return read(body.encode(), sent, CHAT).preferences


def test_nothing_asked_is_nothing_wished() -> None:
    assert asked() == asked({}) == Preferences()


def test_all_of_it_in_the_body() -> None:
    assert asked(
        {
            "min_quality": 0.7,
            "tradeoff": 3,
            "max_cost_usd": 0.002,
            "models": ["gpt-*", "org/large"],
            "session": "s-1",
            "deadline_ms": 1500,
            "priority": 2,
            "explain": True,
            "tags": {"team": "search"},
        }
    ) == Preferences(
        min_quality=0.7,
        tradeoff=3.0,
        max_cost_usd=0.002,
        models=("gpt-*", "org/large"),
        session="s-1",
        deadline_ms=1500.0,
        priority=2,
        explain=True,
        tags={"team": "search"},
    )


def test_all_of_it_in_headers() -> None:
    assert asked(
        min_quality="0.7",
        tradeoff="3",
        max_cost_usd="0.002",
        models="gpt-*, org/large",
        session="s-1",
        deadline_ms="1500",
        priority="-2",
        explain="true",
        tags="team=search, stage=test",
    ) == Preferences(
        min_quality=0.7,
        tradeoff=3.0,
        max_cost_usd=0.002,
        models=("gpt-*", "org/large"),
        session="s-1",
        deadline_ms=1500.0,
        priority=-2,
        explain=True,
        tags={"team": "search", "stage": "test"},
    )


def test_a_header_wins_over_the_body() -> None:
    assert asked({"tradeoff": 3, "session": "s"}, tradeoff="8") == Preferences(tradeoff=8.0, session="s")


@pytest.mark.parametrize(
    ("routing", "headers", "param", "message"),
    [
        ({"min_quality": 1.5}, {}, "routing.min_quality", "expected float <= 1.0"),
        ({"min_quality": -0.1}, {}, "routing.min_quality", "expected float >= 0.0"),
        ({"min_quality": "high"}, {}, "routing.min_quality", "expected float | null, got str"),
        ({"tradeoff": 11}, {}, "routing.tradeoff", "expected float <= 10.0"),
        ({"max_cost_usd": -1}, {}, "routing.max_cost_usd", "expected float >= 0.0"),
        ({"models": "gpt-*"}, {}, "routing.models", "expected array, got str"),
        ({"models": ["x"] * 65}, {}, "routing.models", "expected array of length <= 64"),
        ({"session": "s" * 257}, {}, "routing.session", "expected str of length <= 256"),
        ({"deadline_ms": 0}, {}, "routing.deadline_ms", "expected float > 0.0"),
        ({"priority": 99}, {}, "routing.priority", "expected int <= 10"),
        ({"explain": "yes"}, {}, "routing.explain", "expected bool, got str"),
        ({"tags": {"a": 1}}, {}, "routing.tags[...]", "expected str, got int"),
        ({"url": "http://evil"}, {}, "routing.url", "unknown field; there are min_quality, tradeoff"),
        ({"api_key": "sk"}, {}, "routing.api_key", "unknown field"),
        ([], {}, "routing", "expected object | null, got array"),
        (None, {"min_quality": "nan"}, "routing.min_quality", "expected float >= 0.0"),
        (None, {"min_quality": "most"}, "routing.min_quality", "expected float | null, got str"),
        (None, {"tradeoff": "-1"}, "routing.tradeoff", "expected float >= 0.0"),
        (None, {"explain": "perhaps"}, "routing.explain", "expected bool, got str"),
        (None, {"base_url": "http://evil"}, "routing.base_url", "unknown field"),
    ],
)
def test_out_of_range_is_refused_by_name(routing: object, headers: dict[str, str], param: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        asked(routing, **headers)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")
    assert message in caught.value.message
