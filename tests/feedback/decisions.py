"""Settled decisions with everything in them, as the pipeline leaves them."""

from __future__ import annotations

import numpy as np

from gateway.core.decision import Attempt, Batch, Decision, Stopwatch
from gateway.core.estimate import Estimate, Source
from gateway.core.fleet import Fleet
from gateway.core.placing import Ask
from gateway.domain import Capacity, Endpoint, MinQuality, Model, Outcome, Preferences, Price, Query, Route, Usage

MESSAGES = b'[{"role":"user","content":"gr\xc3\xbc\xc3\x9fe"}]'
FLEET = Fleet(
    [Model("small", Price(1, 2)), Model("org/large", Price(10, 20))],
    [Endpoint(name, model, "http://127.0.0.1:1", Capacity(4)) for name, model in (("s", "small"), ("l", "org/large"))],
    [Route("auto", ("small", "org/large"), MinQuality(0.7))],
)


def settled(decision_id: str = "dec_1", *, messages: bytes = MESSAGES, column: int = 1) -> Decision:
    """A query that was served after one endpoint had failed it, in a batch in which the other one was full."""
    estimate = Estimate(
        quality=np.array([0.5, 0.75]),
        quality_sd=np.array([0.1, 0.2]),
        input_tokens=np.array([10.0, 11.0]),
        output_tokens=np.array([20.0, 21.0]),
        cost_usd=np.array([1e-5, 2e-4]),
        source=Source.PREDICTED,
    )
    watch = Stopwatch(0.0)
    watch.lap("parse", 0.001)
    watch.lap("assign", 0.003)
    return Decision(
        query=Query(
            id=decision_id,
            target="auto",
            key="team",
            models=("small", "org/large"),
            messages=messages,
            preferences=Preferences(tags={"team": "a"}),
        ),
        watch=watch,
        estimate=estimate,
        expected=estimate.at(column, bias=-0.05),
        ask=Ask(models=np.array([True, True]), multiplier=1e-3, bias=-0.05, excluded=(0,), floor=0.6),
        batch=Batch(
            slots=np.array([0, 3]),
            healthy=np.array([True, True]),
            demand=np.array([2, 1]),
            shadow=np.array([4000, 0]),
            size=3,
            held=1,
            step="transport",
            objective=-123,
            bound=-124,
            gain=7,
            gap=0.01,
        ),
        score_usd=np.array([1e-5, np.nan]),
        allowed=np.array([True, True]),
        below_floor=True,
        times_held=1,
        endpoint="sl"[column],
        model=FLEET.models[column].name,
        column=column,
        attempts=[Attempt("s", "failed", "broke"), Attempt("l", "answered")],
        outcome=Outcome.SERVED,
        usage=Usage(9, 30, 3),
        cost_usd=7e-4,
        first_byte_s=0.2,
        total_s=0.5,
    )
