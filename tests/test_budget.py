"""A budget under a crowd: two gateway processes, one Redis, 64 clients."""

from __future__ import annotations

from tests.bench.budget import CLIENTS, run


def test_a_budget_is_not_overspent_by_more_than_one_reservation() -> None:
    spent = run(usd=0.05, queries=600)
    assert spent.refused == CLIENTS
    assert spent.other == {}
    assert spent.served > CLIENTS
    assert spent.usd <= 0.05 + spent.largest_usd  # a reservation is larger than the dearest answer
    assert spent.usd >= 0.05 / 2  # and it was there to be spent
