"""When a batch is due."""

from __future__ import annotations

from gateway.core.window import Window


def test_a_lone_query_is_decided_at_once() -> None:
    assert Window(0.010, 64).due_at(now=5.0, waiting=1) == 5.0


def test_only_after_contention_does_a_batch_wait_for_company() -> None:
    window = Window(0.010, 64)
    window.seal(5.0)
    window.settle(held=3)
    assert window.due_at(now=5.001, waiting=4) == 5.010
    assert window.due_at(now=5.020, waiting=4) == 5.020
    window.settle(held=0)
    assert window.due_at(now=5.001, waiting=4) == 5.001


def test_a_full_batch_does_not_wait() -> None:
    window = Window(0.010, 64)
    window.seal(5.0)
    window.settle(held=70)
    assert window.due_at(now=5.001, waiting=64) == 5.001
