"""A beam that is wide enough is exact; a narrow one still keeps every row."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gateway.core.ascent import ascend
from gateway.core.beam import beam
from gateway.core.greedy import one_by_one
from gateway.core.instance import CLOSED, make_instance
from gateway.core.relaxation import losses, relax
from gateway.core.rows import capacity_exceeded, missing_quality
from tests.core.instances import Rows, small, traffic

CROSSED = Rows(tokens=True, quality=True, budget=True)


@pytest.mark.parametrize("seed", [seed for seed in range(90) if 0 not in small(seed, CROSSED, queries=4).shape])
def test_a_wide_beam_finds_what_enumeration_finds(seed: int) -> None:
    problem = small(seed, CROSSED, queries=4)
    instance = make_instance(problem)
    first = one_by_one(instance)
    missing = missing_quality(problem, first)
    relaxation = relax(instance, missing)
    is_open = instance.price < CLOSED
    loss = np.where(is_open, relaxation.price - relaxation.price.min(axis=1, keepdims=True), np.inf)
    found = beam(relaxation, first, loss, window=np.inf, width=10**6)
    if found is None:
        assert (is_open.sum(axis=1) <= 1).all()
        return
    columns = [[int(each) for each in np.flatnonzero(row)] for row in is_open]
    every = (np.array(each) for each in product(*columns))
    choices = (np.where(each == problem.shape[1], -1, each) for each in every)
    kept = [c for c in choices if not capacity_exceeded(problem, c) and missing_quality(problem, c) <= missing]
    assert not capacity_exceeded(problem, found)
    assert missing_quality(problem, found) <= missing
    assert instance.penalised(found) == min(instance.penalised(each) for each in kept)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rows", [CROSSED, Rows(tokens=True, gang=True, quality=True)])
def test_a_narrow_beam_keeps_every_row(seed: int, rows: Rows) -> None:
    problem = traffic(seed, 24, 5, rows=rows)
    instance = make_instance(problem)
    first = one_by_one(instance)
    missing = missing_quality(problem, first)
    relaxation = relax(instance, missing)
    dual = ascend(relaxation, relaxation.start(None), instance.penalised(first), steps=60)
    loss = np.where(instance.price < CLOSED, losses(relaxation, dual), np.inf)
    found = beam(relaxation, first, loss, window=np.inf, width=50)
    if found is not None:
        assert not capacity_exceeded(problem, found)
        assert missing_quality(problem, found) <= missing
        if problem.gang is not None:
            assert (found == first)[problem.gang >= 0].all()


def test_a_beam_without_time_or_question_is_none() -> None:
    problem = traffic(0, 24, 5, rows=CROSSED)
    instance = make_instance(problem)
    first = one_by_one(instance)
    relaxation = relax(instance, missing_quality(problem, first))
    assert beam(relaxation, first, relaxation.price, window=np.inf, width=9, alive=lambda: False) is None
    assert beam(relaxation, first, np.full_like(relaxation.price, np.inf), window=np.inf, width=9) is None
