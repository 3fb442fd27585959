"""An assignment in words: every rejected alternative has its score and its reason."""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from gateway.core.explain import Names, explain
from gateway.core.explanation import Reason
from gateway.core.ladder import solve
from gateway.core.problem import HELD, UNKNOWN, BatchQuality, Problem, TokenRow
from tests.core.instances import Rows, small, traffic

MILLI_DOLLAR = 1_000_000  # nano-dollars


def _contended() -> Problem:
    """Two queries want the one slot of the cheap endpoint; the third may not go there."""
    return Problem(
        score=np.array([[1, 5, 9], [0, 1, 9], [0, 3, int(UNKNOWN) // MILLI_DOLLAR]], np.int64) * MILLI_DOLLAR,
        allowed=np.array([[True, True, True], [True, True, True], [False, True, True]]),
        hold=np.full(3, 50 * MILLI_DOLLAR),
        may_hold=np.ones(3, bool),
        slots=np.array([1, 1, 0]),
    )


def _names(problem: Problem) -> Names:
    queries, endpoints = problem.shape
    return Names(queries=[f"q{q}" for q in range(queries)], endpoints=[f"e{e}" for e in range(endpoints)])


def test_a_full_endpoint_is_priced_in_words() -> None:
    problem = dataclasses.replace(_contended(), slots=np.array([1, 2, 0]))
    assignment = solve(problem, budget_s=0.1)
    said = explain(problem, assignment, _names(problem))
    assert [each.endpoint for each in said.choices] == ["e0", "e1", "e1"]
    assert said.scarce[0].words == "e0 was full; one more slot there would have saved 1 m$"
    assert said.choices[1].words == "e1 was the best with room, 1 m$ dearer than its own best (e0: full)"
    crowded = explain(_contended(), solve(_contended(), budget_s=0.1), _names(problem))
    by_name = {each.endpoint: each for each in crowded.scarce}
    assert by_name["e1"].words == "e1 was full; one more slot there would have saved 47 m$"
    assert by_name["e1"].saving_usd == 0.047


def test_each_rejected_alternative_has_a_reason() -> None:
    problem = _contended()
    said = explain(problem, solve(problem, budget_s=0.1), _names(problem))
    reasons = {(choice.query, other.endpoint): other.reason for choice in said.choices for other in choice.alternatives}
    placed = {choice.query: choice.endpoint for choice in said.choices}
    assert placed == {"q0": "e0", "q1": "e1", "q2": None}
    assert reasons["q2", "e0"] is Reason.NOT_ALLOWED
    assert reasons["q2", "e2"] is Reason.NO_SCORE
    assert reasons["q0", "e1"] is Reason.DEARER
    assert reasons["q1", "e0"] is Reason.FULL
    assert reasons["q2", "e1"] is Reason.FULL


def test_tokens_that_are_too_many_or_gone_are_told_apart() -> None:
    problem = Problem(
        score=np.array([[1, 4], [1, 4], [1, 4]], np.int64),
        allowed=np.ones((3, 2), bool),
        hold=np.full(3, 9),
        may_hold=np.ones(3, bool),
        slots=np.array([3, 3]),
        tokens=(TokenRow(name="kv", need=np.array([[6, 6], [6, 6], [99, 6]]), room=np.array([10, 99])),),
    )
    said = explain(problem, solve(problem, budget_s=0.2), _names(problem))
    reasons = [{other.reason for other in choice.alternatives if other.endpoint == "e0"} for choice in said.choices]
    assert sorted(map(list, reasons)) == [[], [Reason.NO_TOKENS], [Reason.TOO_LARGE]]


def test_scarce_tokens_are_priced_by_the_thousand() -> None:
    problem = traffic(2, 64, 8, load=0.6, rows=Rows(tokens=True))
    said = explain(problem, solve(problem, budget_s=0.3), _names(problem))
    short = [each for each in said.scarce if each.row == "tokens_per_minute"]
    assert short
    assert all(0.5 * each.room < each.taken <= each.room for each in short)
    assert short[0].words.startswith(f"{short[0].endpoint} was short of tokens_per_minute; a thousand more would have")


def test_a_quality_row_is_named_when_it_overrules_a_query() -> None:
    problem = Problem(
        score=np.array([[1, 4], [1, 4]], np.int64),
        allowed=np.ones((2, 2), bool),
        hold=np.full(2, 9),
        may_hold=np.zeros(2, bool),
        slots=np.array([2, 2]),
        batch_quality=BatchQuality(
            quality=np.array([[4000, 8000], [4000, 8000]]), asked=6000, members=np.ones(2, bool)
        ),
    )
    said = explain(problem, solve(problem, budget_s=0.2), _names(problem))
    reasons = sorted(other.reason for choice in said.choices for other in choice.alternatives)
    assert reasons == [Reason.DEARER, Reason.OTHER_ROWS]
    unreachable = dataclasses.replace(
        problem, batch_quality=BatchQuality(quality=np.full((2, 2), 3000), asked=6000, members=np.ones(2, bool))
    )
    said = explain(unreachable, solve(unreachable, budget_s=0.2), _names(problem))
    assert said.words.endswith("the asked quality could not be reached: 0.6 successes short")


def test_any_assignment_can_be_explained_as_json() -> None:
    for seed in range(300):
        problem = small(seed, Rows(tokens=True, gang=True, quality=True, budget=True))
        queries, endpoints = problem.shape
        names = dataclasses.replace(
            _names(problem), quality=np.full((queries, endpoints), np.nan), cost_usd=np.ones((queries, endpoints))
        )
        assignment = solve(problem, budget_s=0.5)
        said = explain(problem, assignment, names)
        text = json.dumps(said.plain, allow_nan=False)
        assert json.loads(text)["objective_usd"] == said.objective_usd
        for choice, endpoint in zip(said.choices, assignment.choice.tolist(), strict=True):
            assert (choice.endpoint is None) is (endpoint == HELD)
            assert len(choice.alternatives) == endpoints - (endpoint != HELD)
            assert choice.words


def test_the_best_with_room_says_what_it_missed() -> None:
    problem = traffic(1, 64, 8)
    said = explain(problem, solve(problem, budget_s=0.1), _names(problem))
    displaced = [choice for choice in said.choices if "dearer than its own best" in choice.words]
    assert displaced
    assert all(any(other.reason is Reason.FULL for other in choice.alternatives) for choice in displaced)
    assert "saved against one after the other" in said.words
