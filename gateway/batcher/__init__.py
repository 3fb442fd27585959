"""Collects queries, has them decided together, and hands each its slot."""

from gateway.batcher.batcher import Batcher
from gateway.batcher.decider import Decider, Placement

__all__ = ["Batcher", "Decider", "Placement"]
