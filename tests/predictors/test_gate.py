"""How far is far."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.gate import fit_gate

RNG = np.random.default_rng(0)
NEAR = RNG.normal((3, 0), 1, (400, 2)).astype(np.float32)
FAR = RNG.normal(size=(400, 2)).astype(np.float32)
GATE = fit_gate(NEAR, FAR)


def test_it_tells_what_it_was_shown() -> None:
    assert GATE(FAR).mean() - GATE(NEAR).mean() > 0.5


@given(st.floats(0, 5), st.floats(0, 5))
def test_less_alike_is_never_less_far(one: float, other: float) -> None:
    place = np.array([[0.5, 0.5]], np.float32)
    assert GATE(place) >= GATE(place + np.array([[one, other]], np.float32))


def test_a_signal_of_the_wrong_sign_is_left_out() -> None:
    gate = fit_gate(NEAR * np.float32(-1), FAR)
    assert gate.weight[0] == 0


def test_without_any_task_left_out_a_typical_prompt_is_near() -> None:
    gate = fit_gate(NEAR, NEAR[:0])
    assert gate(NEAR).mean() < 0.2
    assert gate(NEAR.mean(axis=0, keepdims=True) - 10)[0, 0] > 0.9


def test_nothing_at_all_is_legal() -> None:
    gate = fit_gate(NEAR[:0], NEAR[:0])
    assert np.isfinite(gate(NEAR)).all()
