"""Several processes, one Redis, one endpoint. The full size is tests/bench/admission.py."""

from __future__ import annotations

from tests.bench.admission import run


def test_no_endpoint_ever_has_more_than_its_capacity(redis_url: str) -> None:
    # A budget that five processes on a busy machine keep too: an outage is not what is tried here.
    result = run(redis_url, processes=4, clients=80, requests=2000, capacity=8, budget_s=5.0)
    assert result.over_admissions == 0
    assert 1 < result.most_inside <= 8
    assert result.left == 0
