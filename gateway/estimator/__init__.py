"""Predictions become estimates of the configured models."""

from gateway.estimator.columns import Columns, columns_for
from gateway.estimator.estimator import Estimator

__all__ = ["Columns", "Estimator", "columns_for"]
