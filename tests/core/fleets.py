"""A small fleet for tests: two cheap replicas, one dear model, one that sees pictures."""

from __future__ import annotations

import numpy as np

from gateway.core.capacity import UNLIMITED, Headroom
from gateway.core.estimate import Estimate, Estimates, Source
from gateway.core.fleet import Fleet
from gateway.core.latency import Pace, Traffic
from gateway.core.placing import Terrain
from gateway.domain import Capability, Capacity, Endpoint, MinQuality, Model, Price, Route, Tradeoff

FAST = 1e15  # tokens per second
TEXT_ONLY = frozenset({Capability.TOOLS})


def fleet() -> Fleet:
    models = [
        Model("cheap", Price(1.0, 2.0), context=1000, can=TEXT_ONLY),
        Model("dear", Price(10.0, 20.0), context=8000, can=TEXT_ONLY),
        Model("seeing", Price(5.0, 10.0)),
        Model("unserved", Price(0.0, 0.0)),
    ]
    endpoints = [
        Endpoint("cheap-1", "cheap", "http://127.0.0.1:1/v1", Capacity(2)),
        Endpoint("cheap-2", "cheap", "http://127.0.0.1:2/v1", Capacity(2)),
        Endpoint("dear-1", "dear", "http://127.0.0.1:3/v1", Capacity(8)),
        Endpoint("seeing-1", "seeing", "http://127.0.0.1:4/v1", Capacity(8)),
    ]
    everything = tuple(model.name for model in models)
    routes = [Route("auto", everything, MinQuality(0.8)), Route("text", ("cheap", "dear"), Tradeoff(5.0))]
    return Fleet(models, endpoints, routes)


def estimates(*quality: tuple[float, ...], cost: tuple[float, ...] = (0.001, 0.01, 0.005, 0.0)) -> Estimates:
    """One row per query, four models."""
    return Estimates.stack([estimate(row, cost) for row in quality])


def estimate(quality: tuple[float, ...], cost: tuple[float, ...] = (0.001, 0.01, 0.005, 0.0)) -> Estimate:
    tokens = np.full(4, 100.0)
    return Estimate(np.array(quality), np.full(4, 0.1), tokens, tokens, np.array(cost), Source.PREDICTED)


def terrain(
    of: Fleet, slots: tuple[int, ...], *, healthy: tuple[bool, ...] = (True,) * 4, slot_wait: float = 1.0
) -> Terrain:
    """Endpoints that answer in no time, but free a slot every `slot_wait` seconds when they are full."""
    unlimited = np.full(4, UNLIMITED)
    whole = np.array([endpoint.capacity.concurrency for endpoint in of.endpoints])
    none = np.zeros(4, dtype=np.int64)
    return Terrain(
        model_of_endpoint=of.model_of_endpoint,
        headroom=Headroom(np.array(slots), unlimited, unlimited, unlimited),
        healthy=np.array(healthy),
        pace=Pace(
            prefill_s=np.full(4, 1 / FAST),
            token_s=np.full(4, 1 / FAST),
            crowding=np.zeros(4),
            overhead_s=np.zeros(4),
        ),
        traffic=Traffic(
            running=np.maximum(whole - np.array(slots), 0),
            waiting=none,
            slots=whole,
            mean_input=np.zeros(4),
            mean_output=slot_wait * whole * FAST,
        ),
    )
