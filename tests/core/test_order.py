"""Who has a turn when there is not room for all."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.order import in_turn

INF = np.inf


def test_the_first_take_what_there_is() -> None:
    score = np.array([[1.0, 2.0]] * 4)
    turns = in_turn(score, np.full(4, INF), np.array([1, 2]))
    assert turns.tolist() == [True, True, True, False]


def test_whoever_would_rather_wait_leaves_the_room_to_others() -> None:
    score = np.array([[1.0, 9.0], [1.0, 9.0], [1.0, 9.0], [INF, 2.0]])
    turns = in_turn(score, np.array([5.0, 5.0, 5.0, 5.0]), np.array([1, 1]))
    assert turns.tolist() == [True] * 4


def test_whoever_has_nowhere_to_go_is_no_matter_of_turns() -> None:
    assert in_turn(np.array([[INF]]), np.array([INF]), np.array([0])).tolist() == [True]


@given(st.data())
def test_all_who_have_a_turn_find_room_or_wish_to_wait(data: st.DataObject) -> None:
    queries, endpoints = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    cell = st.sampled_from([1.0, 2.0, 3.0, INF])
    score = np.array([[data.draw(cell) for _ in range(endpoints)] for _ in range(queries)])
    hold = np.array([data.draw(cell) for _ in range(queries)])
    slots = np.array([data.draw(st.integers(0, 2)) for _ in range(endpoints)])
    turns = in_turn(score, hold, slots)
    left = slots.copy()
    for row in range(queries):
        fits = [e for e in range(endpoints) if left[e] and score[row, e] < INF]
        assert turns[row] == (bool(fits) or not (score[row] < INF).any())
        wanted = min(fits, key=lambda e: score[row, e], default=None)
        if wanted is not None and score[row, wanted] <= hold[row]:
            left[wanted] -= 1
